// Which lines of a log are written when the same comes again and again, so that nobody can fill a disk with them.
//
// Lines are of one kind if they come from one place in the code. Of a kind a few are written and the rest counted; when
// the window is over, one line says how many there were, and a window begins anew. A window in which nothing had to be
// held back forgets the kind. There are as many kinds as places, so memory is bounded.
//
// Sans I/O; not thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace proxy::desk {

class log_repeats {
 public:
  using clock = std::chrono::steady_clock;

  static constexpr std::chrono::seconds window{10};
  static constexpr std::size_t most_quoted = 200;  ///< bytes of a line's text

  /// Where a line comes from: a file and a line in it.
  using place = std::pair<std::string_view, int>;

  /// Whether it is written, as one of `most` in this window; else it is counted. `level` is told again by `due`.
  bool passes(const place& from, int level, std::string_view text, std::size_t most, clock::time_point now);

  struct summary {
    int level = 0;
    std::string text;  ///< "17 more like it in the last 10 s: ...", with the first that was held back
  };
  /// What there is to say of windows that are over.
  std::vector<summary> due(clock::time_point now);
  /// Of all of them, at the end.
  std::vector<summary> rest(clock::time_point now);

 private:
  struct kind {
    clock::time_point since;
    std::size_t written = 0, held = 0;
    int level = 0;
    std::string first_held;
  };
  static summary sum_up(const kind& of, clock::time_point now);

  std::map<place, kind> kinds_;
};

}  // namespace proxy::desk
