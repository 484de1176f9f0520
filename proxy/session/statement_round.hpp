// What a server is given to do in one go, and answers with one ReadyForQuery: a simple query, a function call, or the
// statements of a pipeline up to its Sync. It is what a query's time is the time of.
//
// The traffic cores, which have no clock, say where the session is; the meter reads the clock only when that changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/seldom.hpp"

namespace proxy {

/// Where a session is with its rounds.
struct statement_rounds {
  std::uint32_t ended = 0;  ///< so far
  bool open = false;        ///< the server has something to do
};

/// The text of the round under way, for a log of slow ones. Kept only while somebody wants it, and no more of it than
/// could be shown; a longer one costs no more.
class round_text {
 public:
  static constexpr std::size_t most = std::size_t{4} * 1024;

  void watch(bool wanted) {
    if (wanted == watching()) return;
    text_.reset();
    if (wanted) text_.emplace();
  }
  [[nodiscard]] bool watching() const { return text_.has_value(); }
  /// The first statement of a round is what is shown of it; `rounds` is where the session is before it.
  void note(std::string_view text, const statement_rounds& rounds) {
    if (text_ && !rounds.open) text_->assign(text.substr(0, most));
  }
  /// Empty: it was sent while another round was under way, or prepared before.
  [[nodiscard]] std::string_view text() const { return text_ ? std::string_view(*text_) : std::string_view(); }
  void clear() {
    if (text_) text_->clear();
  }

 private:
  seldom<std::string> text_;
};

}  // namespace proxy
