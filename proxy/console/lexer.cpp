#include "proxy/console/lexer.hpp"

#include <algorithm>
#include <utility>

#include "protocol/sqlstate.hpp"

namespace proxy::console {
namespace {

constexpr std::string_view blanks = " \t\r\n\f\v";

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool is_word(char c) {
  const char up = upper(c);
  return (up >= 'A' && up <= 'Z') || is_digit(c) || c == '_' || c == '.' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class lexer {
 public:
  explicit lexer(std::string_view text) : text_(text) {}

  std::expected<std::vector<statement_tokens>, pgwire::error_report> run() {
    while (skip_blanks() && at_ < text_.size()) {
      if (text_[at_] == ';') {
        if (!end_statement(at_)) return std::unexpected(*error_);
        ++at_;
      } else if (!take()) {
        break;
      }
    }
    if (error_ || !end_statement(text_.size())) return std::unexpected(*error_);
    return std::move(statements_);
  }

 private:
  bool fail(std::string message) {
    error_ = refusal(pgwire::sqlstate::syntax_error, std::move(message));
    return false;
  }

  bool end_statement(std::size_t where) {
    if (now_.empty()) return true;
    if (statements_.size() == most_statements) return fail("more statements in one text than the console runs");
    now_.push_back({token::kind::end, {}, where});
    statements_.push_back(std::exchange(now_, {}));
    return true;
  }

  [[nodiscard]] bool sees(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  bool skip_blanks() {
    for (;;) {
      at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size());
      if (sees("--")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (sees("/*")) {
        if (!skip_comment()) return false;
      } else {
        return true;
      }
    }
  }

  bool skip_comment() {
    std::size_t depth = 0;
    do {
      if (at_ >= text_.size()) return fail("a comment that is not closed");
      if (sees("/*")) {
        ++depth;
        at_ += 2;
      } else if (sees("*/")) {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0);
    return true;
  }

  bool take() {
    const char c = text_[at_];
    if (c == '\'') return take_quoted(token::kind::literal, false);
    if (c == '"') return take_quoted(token::kind::name, false);
    if (upper(c) == 'E' && at_ + 1 < text_.size() && text_[at_ + 1] == '\'') {
      ++at_;
      return take_quoted(token::kind::literal, true);
    }
    const std::size_t begin = at_;
    if (c == '$' && begin + 1 < text_.size() && is_digit(text_[begin + 1])) {
      ++at_;
      while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
      now_.push_back({token::kind::parameter, std::string(text_.substr(begin + 1, at_ - begin - 1)), begin});
    } else if (is_word(c)) {
      while (at_ < text_.size() && is_word(text_[at_])) ++at_;
      now_.push_back({token::kind::word, std::string(text_.substr(begin, at_ - begin)), begin});
    } else {
      now_.push_back({token::kind::sign, std::string(1, c), begin});
      ++at_;
    }
    return true;
  }

  bool take_quoted(token::kind what, bool escapes) {
    const std::size_t begin = at_;
    const char quote = text_[at_++];
    std::string inside;
    for (;;) {
      if (at_ >= text_.size()) {
        return fail(what == token::kind::name ? "a quoted name that is not closed" : "a literal that is not closed");
      }
      const char c = text_[at_++];
      const bool more = at_ < text_.size();
      const bool escaped = c == '\\' && escapes && more;
      const bool doubled = c == quote && more && text_[at_] == quote;
      if (c == quote && !doubled) break;
      inside += escaped || doubled ? text_[at_++] : c;
    }
    now_.push_back({what, std::move(inside), begin});
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  statement_tokens now_;
  std::vector<statement_tokens> statements_;
  std::optional<pgwire::error_report> error_;
};

}  // namespace

bool token::is(std::string_view keyword) const {
  return what == kind::word &&
         std::ranges::equal(text, keyword, [](char mine, char theirs) { return upper(mine) == theirs; });
}

std::expected<std::vector<statement_tokens>, pgwire::error_report> take_apart(std::string_view text) {
  return lexer(text).run();
}

pgwire::error_report refusal(std::string_view sqlstate, std::string message, std::string hint) {
  return {"ERROR", std::string(sqlstate), std::move(message), {}, std::move(hint)};
}

}  // namespace proxy::console
