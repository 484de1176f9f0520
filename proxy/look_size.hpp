// How many sockets an event loop serves each time it looks: few when there is little to do, more when it can hardly
// keep up. What pays only for many at a time asks here.
#pragma once

#include <cstddef>

namespace proxy {

class look_size {
 public:
  void note(std::size_t served) { average_ += (static_cast<double>(served) - average_) / looks; }
  /// Several, for some time. It takes more of them to become so than to stay so.
  [[nodiscard]] bool is_large() {
    if (large_ ? average_ < small : average_ > large) large_ = !large_;
    return large_;
  }

 private:
  static constexpr double looks = 64;  // what came before these counts little
  static constexpr double small = 2;
  static constexpr double large = 3;

  double average_ = 0;
  bool large_ = false;
};

}  // namespace proxy
