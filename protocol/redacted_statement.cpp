#include "protocol/redacted_statement.hpp"

#include <algorithm>
#include <utility>

#include "protocol/ascii.hpp"

namespace pgwire {
namespace {

constexpr std::size_t none = std::string_view::npos;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_high(c); }
bool is_of_name(char c) { return begins_name(c) || is_digit(c) || c == '$'; }

bool same_word(std::string_view text, std::string_view word) {
  if (text.size() != word.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (lower(text[i]) != word[i]) return false;
  }
  return true;
}

class redaction {
 public:
  redaction(std::string_view text, std::size_t most) : text_(text), most_(most) {}

  std::string run() {
    while (at_ < text_.size() && !cut_ && made_.size() < most_) step();
    if (made_.size() > most_) made_.resize(most_);
    while (!made_.empty() && made_.back() == ' ') made_.pop_back();
    if (cut_ || at_ < text_.size()) made_ += " ...";
    return std::move(made_);
  }

 private:
  [[nodiscard]] char here(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void step() {
    const char c = here();
    if (is_space(c)) {
      ++at_;
      space();
    } else if (c == '-' && here(1) == '-') {
      at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      space();
    } else if (c == '/' && here(1) == '*') {
      skip_comment();
    } else if (c == '\'') {
      literal(at_, false);
    } else if (c == '"') {
      quoted_name();
    } else if (c == '$') {
      dollar();
    } else if (is_digit(c) || (c == '.' && is_digit(here(1)))) {
      number();
    } else if (begins_name(c)) {
      word();
    } else {
      if (c == ';') setting_ = in_setting::no;
      if (c == '=' && setting_ == in_setting::name) return value_of_setting(1);
      made_ += c;
      first_ = c == ';' || (first_ && c == '(');
      ++at_;
    }
  }

  void space() {
    if (!made_.empty() && made_.back() != ' ') made_ += ' ';
  }

  // They nest.
  void skip_comment() {
    int depth = 0;
    do {
      if (here() == '/' && here(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (here() == '*' && here(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0 && at_ < text_.size());
    at_ = std::min(at_, text_.size());
    space();
  }

  // `quote` is where it stands. In an escaping one (E'') a backslash takes the next byte along; in others it may, by
  // standard_conforming_strings. Behind a byte that is not ASCII it may be half a letter.
  void literal(std::size_t quote, bool escapes) {
    made_ += '?';
    at_ = quote + 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\') {
        const bool uncertain = is_high(text_[at_ - 1]) || (!escapes && here(1) == '\'') ||
                               (!escapes && here(1) == '\\' && here(2) == '\'');
        if (uncertain) {
          cut_ = true;
          return;
        }
        at_ += escapes ? 2 : 1;
      } else if (c == '\'' && here(1) == '\'') {
        at_ += 2;
      } else if (c == '\'') {
        ++at_;
        return;
      } else {
        ++at_;
      }
    }
    at_ = text_.size();
    cut_ = true;
  }

  // Kept as it is; one that does not end may be anything.
  void quoted_name() {
    std::size_t end = text_.find('"', at_ + 1);
    while (end != none && end + 1 < text_.size() && text_[end + 1] == '"') end = text_.find('"', end + 2);
    if (end == none) {
      cut_ = true;
      return;
    }
    if (setting_ == in_setting::set) setting_ = in_setting::name;
    made_ += text_.substr(at_, end + 1 - at_);
    at_ = end + 1;
    first_ = false;
  }

  // A parameter, $1, or a literal between two equal tags, $body$.
  void dollar() {
    std::size_t end = at_ + 1;
    if (end < text_.size() && is_digit(text_[end])) {
      while (end < text_.size() && is_of_name(text_[end])) ++end;
      made_ += text_.substr(at_, end - at_);
      at_ = end;
      return;
    }
    while (end < text_.size() && text_[end] != '$' && is_of_name(text_[end])) ++end;
    if (end == text_.size() || text_[end] != '$') {
      made_ += '$';
      ++at_;
      return;
    }
    const auto tag = text_.substr(at_, end + 1 - at_);
    made_ += '?';
    const std::size_t close = text_.find(tag, end + 1);
    cut_ = close == none;
    at_ = cut_ ? text_.size() : close + tag.size();
  }

  void number() {
    made_ += '?';
    while (at_ < text_.size()) {
      const char c = here();
      const char before = lower(text_[at_ - (at_ > 0 ? 1 : 0)]);
      const bool sign_of_exponent = (c == '+' || c == '-') && before == 'e';
      if (!is_of_name(c) && c != '.' && !sign_of_exponent) return;
      ++at_;
    }
  }

  void word() {
    std::size_t end = at_;
    while (end < text_.size() && is_of_name(text_[end])) ++end;
    const auto name = text_.substr(at_, end - at_);
    const char next = end < text_.size() ? text_[end] : '\0';
    const bool prefix = name.size() == 1 && next == '\'';
    if (prefix) {  // E'', B'', X'', N''
      literal(end, lower(name[0]) == 'e');
      return;
    }
    if (same_word(name, "u") && next == '&' && end + 1 < text_.size() && text_[end + 1] == '\'') {
      literal(end + 1, false);
      return;
    }
    if (setting_ == in_setting::name && same_word(name, "to")) return value_of_setting(name.size());
    if (setting_ == in_setting::set && !same_word(name, "local") && !same_word(name, "session")) {
      setting_ = in_setting::name;
    }
    // ALTER ROLE r SET name TO value, too; of UPDATE t SET a = 5 it is the column, and what follows has its own marks.
    if (same_word(name, "set") && (first_ || alters_)) setting_ = in_setting::set;
    if (first_) alters_ = same_word(name, "alter") || same_word(name, "create");
    first_ = false;
    made_ += name;
    at_ = end;
  }

  // What a setting is given may be a bare word: nothing of it is kept, nor of what follows in the statement.
  void value_of_setting(std::size_t length) {
    made_ += text_.substr(at_, length);
    made_ += " ?";
    cut_ = true;
    at_ = text_.size();
    setting_ = in_setting::no;
  }

  std::string_view text_;
  const std::size_t most_;
  std::size_t at_ = 0;
  std::string made_;
  bool cut_ = false;
  bool first_ = true;  // no word of the statement yet
  bool alters_ = false;
  enum class in_setting : unsigned char { no, set, name } setting_ = in_setting::no;
};

}  // namespace

std::string without_values(std::string_view statement, std::size_t most) { return redaction(statement, most).run(); }

}  // namespace pgwire
