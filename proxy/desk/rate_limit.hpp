// So many a second on average, and a burst at once: a token bucket, kept as the moment up to which all is spent
// (the generic cell rate algorithm of ITU-T I.371). Sans I/O; from any thread, without a lock.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace proxy::desk {

class rate_limit {
 public:
  using clock = std::chrono::steady_clock;

  /// By the table in force when it is asked; both at least 1.
  struct terms {
    std::uint64_t per_second = 1;
    std::uint64_t burst = 1;
  };

  /// How long to wait before `amount` may be had, which is set aside for whoever waits; zero: at once. Nothing, and
  /// nothing is set aside: it would be longer than `most`.
  std::optional<clock::duration> take(const terms& by, std::uint64_t amount, clock::time_point now,
                                      clock::duration most) {
    auto spent = spent_until_.load(std::memory_order_relaxed);
    for (;;) {
      const auto next = after(by, spent, amount, now);
      const auto wait = until(next, now);
      if (wait > most) return std::nullopt;
      if (spent_until_.compare_exchange_weak(spent, next, std::memory_order_relaxed)) return wait;
    }
  }
  /// The same, and nothing is set aside.
  [[nodiscard]] clock::duration wait_for(const terms& by, std::uint64_t amount, clock::time_point now) const {
    return until(after(by, spent_until_.load(std::memory_order_relaxed), amount, now), now);
  }
  /// What was taken at the same rate, and will not be used.
  void give_back(const terms& by, std::uint64_t amount) {
    auto spent = spent_until_.load(std::memory_order_relaxed);
    while (!spent_until_.compare_exchange_weak(spent, spent - time_of(by, amount), std::memory_order_relaxed)) {
    }
  }
  /// What was had already, however much: those who come next wait for it.
  void charge(const terms& by, std::uint64_t amount, clock::time_point now) {
    static_cast<void>(take(by, amount, now, clock::duration::max()));
  }

 private:
  static clock::duration time_of(const terms& by, std::uint64_t amount) {
    constexpr double a_year = 366.0 * 86400;  // beyond that nobody waits, and the sums stay far from overflowing
    const double seconds =
        std::min(a_year, static_cast<double>(amount) / static_cast<double>(std::max<std::uint64_t>(1, by.per_second)));
    return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(seconds));
  }
  static clock::duration until(clock::duration then, clock::time_point now) {
    return std::max(clock::duration(then - now.time_since_epoch()), clock::duration::zero());
  }
  static clock::duration after(const terms& by, clock::duration spent, std::uint64_t amount, clock::time_point now) {
    const auto full = now.time_since_epoch() - time_of(by, std::max<std::uint64_t>(1, by.burst));
    return std::max(spent, full) + time_of(by, amount);
  }

  std::atomic<clock::duration> spent_until_{clock::duration::min()};
};

}  // namespace proxy::desk
