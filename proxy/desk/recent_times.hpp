// How long a tenant's statements took lately: enough to say what all but one in a hundred stayed under, in little room,
// for there may be 100,000 tenants.
//
// Two spans of ten seconds take turns, so that what is told is at most twenty seconds old, and at least ten seconds'
// worth where there is as much. The first observation of a new span empties the older one; what another thread counts
// in that moment may be lost, which nobody sees in a quantile. Sans I/O: who observes says when.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace proxy::desk {

/// From any thread, without a lock.
class recent_times {
 public:
  using clock = std::chrono::steady_clock;
  using microseconds = std::chrono::microseconds;

  static constexpr std::chrono::seconds span{10};
  /// Their bounds grow by half or a third, in turn, from 32 microseconds to 100 seconds; the last one's is
  /// told of what took longer, too.
  static constexpr std::size_t buckets = 44;

  static constexpr microseconds bound(std::size_t bucket) {
    const std::uint64_t power = first_bound << (bucket / 2);
    return microseconds(bucket % 2 == 0 ? power : power + power / 2);
  }
  static constexpr std::size_t bucket_of(microseconds time) {
    if (time.count() <= static_cast<std::int64_t>(first_bound)) return 0;
    const auto last = static_cast<std::uint64_t>(time.count()) - 1;
    const auto width = static_cast<std::size_t>(std::bit_width(last / first_bound));
    const std::size_t even = 2 * (width - 1);  // bound(even) < time <= bound(even + 2)
    const std::size_t found = time <= bound(even + 1) ? even + 1 : even + 2;
    return found < buckets ? found : buckets - 1;
  }

  void observe(microseconds time, clock::time_point now) {
    const std::int64_t current = number_of(now);
    std::int64_t seen = span_.load(std::memory_order_relaxed);
    if (seen < current && span_.compare_exchange_strong(seen, current, std::memory_order_relaxed)) {
      empty(counts_[slot(current)]);
      if (seen < current - 1) empty(counts_[slot(current - 1)]);
    }
    counts_[slot(current)][bucket_of(time)].fetch_add(1, std::memory_order_relaxed);
  }

  /// The bound of the bucket where the 99th percentile is; nothing: nothing was observed lately.
  [[nodiscard]] std::optional<microseconds> p99(clock::time_point now) const {
    const std::int64_t current = number_of(now);
    const std::int64_t seen = span_.load(std::memory_order_relaxed);
    if (seen < current - 1) return std::nullopt;
    std::array<std::uint64_t, buckets> sums{};
    std::uint64_t all = 0;
    for (const std::int64_t one : {seen, seen - 1}) {
      if (one < current - 1) continue;
      for (std::size_t i = 0; i < buckets; ++i) {
        const std::uint64_t count = counts_[slot(one)][i].load(std::memory_order_relaxed);
        sums[i] += count;
        all += count;
      }
    }
    if (all == 0) return std::nullopt;
    const std::uint64_t above = all / 100;  // so many may be slower
    std::size_t at = buckets - 1;
    for (std::uint64_t slower = sums[at]; slower <= above && at > 0; slower += sums[at]) --at;
    return bound(at);
  }

 private:
  using counts = std::array<std::atomic<std::uint32_t>, buckets>;
  static constexpr std::uint64_t first_bound = 32;

  static std::int64_t number_of(clock::time_point now) { return now.time_since_epoch() / span; }
  static std::size_t slot(std::int64_t number) { return static_cast<std::size_t>(number) % 2; }
  static void empty(counts& one) {
    for (auto& count : one) count.store(0, std::memory_order_relaxed);
  }

  std::array<counts, 2> counts_{};
  std::atomic<std::int64_t> span_{0};  ///< the latest that anything was observed in
};

}  // namespace proxy::desk
