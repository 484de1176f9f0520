// A terminal that is drawn on and asked for keys, by the few sequences of ECMA-48 that all of them have had for
// decades.
//
// What must hold: however the program leaves this scope, and also by a signal that it handles, the terminal is as it
// was.
#pragma once

#include <termios.h>

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/top/top_table.hpp"

namespace proxy::top {

class terminal {
 public:
  /// Standard input and output. Error: they are none, or it is too small.
  static std::expected<terminal, std::string> open();
  terminal(terminal&& other) noexcept : before_(std::exchange(other.before_, std::nullopt)) {}
  terminal& operator=(terminal&&) = delete;
  ~terminal();

  /// As it is now; 0 by 0 if nobody knows.
  [[nodiscard]] static screen size();
  static void draw(const std::vector<std::string>& lines);
  /// Waits for a key; nothing: the time is over, or the size has changed. 3, which is ^C, if the program is to end.
  [[nodiscard]] static std::optional<char> key_within(std::chrono::milliseconds time);

 private:
  explicit terminal(const termios& before) : before_(before) {}
  std::optional<termios> before_;
};

}  // namespace proxy::top
