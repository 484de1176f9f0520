// When to give memory back to the system that has been freed. glibc does so only at the end of its heaps; a burst,
// such as thousands of clients that wait for a connection at once, leaves free what lies below something in use.
//
// To look for it holds up who allocates for some milliseconds. So it is done when enough has come together, once the
// burst is over, and not again for what a burst needs every time. Sans I/O.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "proxy/io.hpp"

namespace proxy {

class trim_time {
 public:
  /// To be asked a few times a second with what is resident. True: now; then `trimmed`.
  [[nodiscard]] bool is_now(std::uint64_t resident, clock::time_point now) {
    if (!most_ || resident > *most_ + still) {
      most_ = resident;
      calm_since_ = now;
    }
    base_ = std::min(base_.value_or(resident), resident);
    const bool worth_it = resident >= *base_ + std::max(least, *base_ / 8);
    return worth_it && now - calm_since_ >= calm;
  }
  /// So much is left; more is freed memory only as far as it is above that.
  void trimmed(std::uint64_t resident, clock::time_point now) {
    base_ = most_ = resident;
    calm_since_ = now;
  }

 private:
  static constexpr std::uint64_t least = std::uint64_t{4} << 20;
  // Sessions have let go by then of what they only keep while they are busy.
  static constexpr std::chrono::seconds calm{2};
  static constexpr std::uint64_t still = std::uint64_t{256} << 10;  ///< growth that is none

  std::optional<std::uint64_t> base_;  ///< the least since the last time
  std::optional<std::uint64_t> most_;  ///< when it last grew
  clock::time_point calm_since_;
};

}  // namespace proxy
