// A fuzzer's input as a series of decisions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fuzz_model {

/// What the input still has to say; zeros when it is at its end.
class choices {
 public:
  explicit choices(std::string_view left) : left_(left) {}
  [[nodiscard]] bool over() const { return left_.empty(); }
  unsigned next() {
    if (left_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(left_.front());
    left_.remove_prefix(1);
    return byte;
  }
  std::string bytes(std::size_t most) {
    const auto some = left_.substr(0, most);
    left_.remove_prefix(some.size());
    return std::string(some);
  }

 private:
  std::string_view left_;
};

}  // namespace fuzz_model
