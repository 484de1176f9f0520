// A point in time that may not be there, in the room of one that is: sessions have several, and thousands are idle.
#pragma once

#include <optional>

#include "proxy/io.hpp"

namespace proxy {

class moment {
 public:
  moment() = default;
  moment(std::nullopt_t) {}
  /// `at` must not be the earliest that there is.
  moment(clock::time_point at) : at_(at) {}

  [[nodiscard]] bool has_value() const { return at_ != none; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] clock::time_point operator*() const { return at_; }
  void reset() { at_ = none; }
  [[nodiscard]] std::optional<clock::time_point> get() const { return has_value() ? std::optional(at_) : std::nullopt; }

 private:
  static constexpr clock::time_point none = clock::time_point::min();
  clock::time_point at_ = none;
};

}  // namespace proxy
