// How long something took, over all sessions: a count for each of a few fixed ranges, and the sum.
//
// The bounds double from 100 microseconds to 52 seconds, so that the bucket is found by counting bits and every scrape
// of every lodge has the same ones. To observe costs two relaxed additions; a reader may thus see the one without the
// other, which is set right by the next reading.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace proxy::desk {

/// From any thread.
class duration_histogram {
 public:
  using microseconds = std::chrono::microseconds;

  /// The last bucket has no bound.
  static constexpr std::size_t buckets = 21;
  /// Inclusive, for all but the last bucket.
  static constexpr microseconds bound(std::size_t bucket) { return microseconds(first_bound << bucket); }
  static constexpr std::size_t bucket_of(microseconds time) {
    if (time.count() <= 0) return 0;
    const auto width = std::bit_width((static_cast<std::uint64_t>(time.count()) - 1) / first_bound);
    return width < static_cast<int>(buckets) ? static_cast<std::size_t>(width) : buckets - 1;
  }

  void observe(microseconds time) {
    counts_[bucket_of(time)].fetch_add(1, std::memory_order_relaxed);
    if (time.count() > 0) sum_.fetch_add(static_cast<std::uint64_t>(time.count()), std::memory_order_relaxed);
  }

  struct reading {
    std::array<std::uint64_t, buckets> counts{};  ///< of each bucket by itself
    microseconds sum{};
  };
  [[nodiscard]] reading read() const {
    reading now;
    for (std::size_t i = 0; i < buckets; ++i) now.counts[i] = counts_[i].load(std::memory_order_relaxed);
    now.sum = microseconds(sum_.load(std::memory_order_relaxed));
    return now;
  }

 private:
  static constexpr std::uint64_t first_bound = 100;

  // Not beside what somebody else writes all the time.
  alignas(64) std::array<std::atomic<std::uint64_t>, buckets> counts_{};
  std::atomic<std::uint64_t> sum_{0};
};

/// Those of all sessions together.
struct session_times {
  duration_histogram queries;  ///< from a query, or a pipeline's first statement, to the server's ReadyForQuery
  duration_histogram leases;   ///< a shared server connection on loan
  duration_histogram waits;    ///< in the queue for one, or for the tenant's rates
};

}  // namespace proxy::desk
