#include "protocol/statement_words.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "protocol/ascii.hpp"

namespace pgwire {
namespace {

struct known_name {
  std::string_view name;
  trait_set means;
};

constexpr std::string_view temporary_schema = "pg_temp";  // or pg_temp_7

constexpr auto length_of = [](const known_name& one) { return one.name.size(); };

// A word is compared with the names of its length only.
template <std::size_t n>
constexpr std::array<known_name, n> by_length(std::array<known_name, n> names) {
  std::ranges::sort(names, {}, length_of);
  return names;
}

// A function of one argument may also be called as an attribute, (42).pg_advisory_lock, so it is the names that count.
constexpr auto known_names = by_length(std::to_array<known_name>({
    {"set_config", {}},
    {"pg_settings", {}},
    {"setseed", {trait::random_seed}},
    {"currval", {trait::reads_sequence}},
    {"lastval", {trait::reads_sequence}},
    {"pg_advisory_lock", {trait::advisory_lock}},
    {"pg_advisory_lock_shared", {trait::advisory_lock}},
    {"pg_try_advisory_lock", {trait::advisory_lock}},
    {"pg_try_advisory_lock_shared", {trait::advisory_lock}},
    {"pg_advisory_unlock", {trait::advisory_lock}},
    {"pg_advisory_unlock_shared", {trait::advisory_lock}},
    {"pg_advisory_unlock_all", {trait::advisory_lock}},
    // They run a text that only they can see, or set a setting (pg_trgm's set_limit).
    {"set_limit", {trait::unseen}},
    {"query_to_xml", {trait::unseen}},
    {"query_to_xmlschema", {trait::unseen}},
    {"query_to_xml_and_xmlschema", {trait::unseen}},
    {"ts_stat", {trait::unseen}},
    {"ts_rewrite", {trait::unseen}},
    {"crosstab", {trait::unseen}},
    {"crosstab2", {trait::unseen}},
    {"crosstab3", {trait::unseen}},
    {"crosstab4", {trait::unseen}},
    {"crosstabn", {trait::unseen}},
    {"crosstab_hash", {trait::unseen}},
    {"connectby", {trait::unseen}},
    {"xpath_table", {trait::unseen}},
    {"dblink_connect", {trait::lingering}},
    {"dblink_connect_u", {trait::lingering}},
    {"dblink_open", {trait::lingering}},
    {"dblink_send_query", {trait::lingering}},
    {"pg_create_physical_replication_slot", {trait::lingering}},
    {"pg_create_logical_replication_slot", {trait::lingering}},
    {"pg_copy_physical_replication_slot", {trait::lingering}},
    {"pg_copy_logical_replication_slot", {trait::lingering}},
    {"pg_replication_origin_session_setup", {trait::lingering}},
    {"pg_replication_origin_session_reset", {trait::lingering}},
    {"pg_start_backup", {trait::lingering}},
    {"pg_stop_backup", {trait::lingering}},
    {"pg_backup_start", {trait::lingering}},
    {"pg_backup_stop", {trait::lingering}},
}));

constexpr std::size_t longest_name = 63;  // NAMEDATALEN - 1

// What a byte means where no literal or comment is open.
enum class kind : std::uint8_t {
  mark,
  blank,
  letter,
  digit,
  apostrophe,
  quote,
  minus,
  slash,
  dollar,
  semicolon,
  paren
};

constexpr auto kinds = [] {
  std::array<kind, 256> of{};
  for (unsigned i = 0; i < 256; ++i) {
    const bool is_letter = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z') || i == '_' || i >= 0x80;
    if (is_letter) of[i] = kind::letter;
    if (i >= '0' && i <= '9') of[i] = kind::digit;
  }
  // The blanks of scan.l: it has no \v before PostgreSQL 16, and there as a mark it ends a word just so.
  for (const unsigned char c : std::array<unsigned char, 6>{' ', '\t', '\n', '\r', '\f', '\v'}) of[c] = kind::blank;
  of['\''] = kind::apostrophe;
  of['"'] = kind::quote;
  of['-'] = kind::minus;
  of['/'] = kind::slash;
  of['$'] = kind::dollar;
  of[';'] = kind::semicolon;
  of['('] = kind::paren;
  return of;
}();

constexpr kind kind_of(char c) { return kinds[static_cast<unsigned char>(c)]; }
constexpr bool goes_on(kind k) { return k == kind::letter || k == kind::digit; }

constexpr auto word_bytes = [] {
  std::array<bool, 256> of{};
  for (unsigned i = 0; i < 256; ++i) of[i] = goes_on(kinds[i]) || i == '$';
  return of;
}();

constexpr bool is_word_byte(char c) { return word_bytes[static_cast<unsigned char>(c)]; }

constexpr std::uint32_t letter_bit(char c) { return std::uint32_t{1} << (static_cast<unsigned char>(c) & 0x1f); }

// For each length of a word, the first letters that a name of that length may have: most words stop here.
constexpr auto first_letters = [] {
  std::array<std::uint32_t, longest_name + 1> of{};
  for (const auto& [name, means] : known_names) of[name.size()] |= letter_bit(name[0]);
  for (auto length = temporary_schema.size(); length <= longest_name; ++length) of[length] |= letter_bit('p');
  for (const std::string_view word : {"into", "insert"}) of[word.size()] |= letter_bit(word[0]);
  return of;
}();

bool equal_in_lower(std::string_view word, std::string_view name) {
  return word.size() == name.size() && std::ranges::equal(word, name, [](char a, char b) { return lower(a) == b; });
}

bool has_turkish(std::string_view name) { return name.contains('\xdd') || name.contains("\xc4\xb0"); }

// What can stand first in a statement that matters to no session but for the names in it.
enum class head : std::uint8_t { harmless, may_select_into, matters };

constexpr auto harmless_heads = std::to_array<std::string_view>(
    {"insert",  "update", "delete",   "begin", "commit",    "rollback",  "values", "table",
     "merge",   "copy",   "fetch",    "move",  "show",      "start",     "end",    "abort",
     "release", "notify", "truncate", "lock",  "savepoint", "checkpoint"});

head head_of(std::string_view word) {
  if (equal_in_lower(word, "select") || equal_in_lower(word, "with")) return head::may_select_into;
  const auto is_word = [&](std::string_view name) { return equal_in_lower(word, name); };
  return std::ranges::any_of(harmless_heads, is_word) ? head::harmless : head::matters;
}

// Goes over a text as the server's scanner does, passing literals and comments by. Two things could make it read other
// tokens than the server: a backslash in a literal, which quotes or does not (standard_conforming_strings; or it is the
// second half of a character, in an encoding such as SJIS), and dollar quotes. Behind the first of these it trusts no
// quote any more: every word of every literal counts, and every semicolon may end a statement.
// All other marks that matter here are never the second byte of a character in any encoding.
class word_scan {
 public:
  explicit word_scan(std::string_view text) : text_(text) {}

  bool hits() {
    while (at_ < text_.size()) {
      const auto here = kind_of(text_[at_]);
      switch (here) {
        case kind::blank: ++at_; break;
        case kind::letter:
          if (hits_word(take_word())) return true;
          break;
        case kind::apostrophe:
          if (!pass_literal()) return hits_blindly();
          break;
        case kind::quote:
          if (is_unicode_name()) return true;
          if (!pass_name()) return hits_blindly();
          if (hit_) return true;
          break;
        case kind::minus:
        case kind::slash:
          if (is_comment()) {
            if (!pass_comment()) return hits_blindly();
          } else if (!pass_mark()) {
            return true;
          }
          break;
        case kind::dollar:
          if (at_ + 1 == text_.size() || kind_of(text_[at_ + 1]) != kind::digit) return hits_blindly();
          if (!pass_mark()) return true;
          break;
        case kind::semicolon:
          ++at_;
          at_head_ = true;
          break;
        case kind::paren:
          ++at_;
          if (at_head_) may_select_into_ = true;
          at_head_ = false;
          last_ = token::paren;
          break;
        case kind::mark:
        case kind::digit:  // a word may follow without a blank, before PostgreSQL 15
          if (!pass_mark()) return true;
          break;
      }
    }
    return false;
  }

 private:
  enum class token : std::uint8_t { other, paren, insert_in_paren };

  std::string_view take_word() {
    const auto* const begin = text_.data() + at_;
    // By its address the function would be called for each byte.
    const auto is_part = [](char c) { return is_word_byte(c); };
    const auto* const end = std::find_if_not(begin + 1, text_.data() + text_.size(), is_part);
    at_ += static_cast<std::size_t>(end - begin);
    return {begin, end};
  }

  // False: what cannot begin a statement begins one.
  bool pass_mark() {
    ++at_;
    last_ = token::other;
    return !at_head_;
  }

  bool hits_word(std::string_view word) {
    const auto last = std::exchange(last_, token::other);
    if (std::exchange(at_head_, false)) {
      const auto first = head_of(word);
      may_select_into_ = first == head::may_select_into;
      return first == head::matters;
    }
    if (!may_be_known(word)) return false;
    if (equal_in_lower(word, "insert")) {
      if (last == token::paren) last_ = token::insert_in_paren;  // WITH x AS (INSERT INTO ..: no SELECT's INTO
      return false;
    }
    if (equal_in_lower(word, "into")) return may_select_into_ && last != token::insert_in_paren;
    return meaning_of(word).has_value();
  }

  static bool may_be_known(std::string_view word) {
    // The server cuts a longer word, which may still begin as a temporary schema does.
    if ((first_letters[std::min(word.size(), longest_name)] & letter_bit(word[0])) != 0) return true;
    unsigned char all = 0;
    for (const char c : word) all |= static_cast<unsigned char>(c);
    return all >= 0x80 && has_turkish(word);
  }

  // Literals of every kind end with an apostrophe; a doubled one ends one and begins the next.
  bool pass_literal() {
    const auto begin = at_;
    if (at_head_) return false;
    last_ = token::other;
    const bool escapes = begin > 0 && lower(text_[begin - 1]) == 'e' && (begin < 2 || !is_word_byte(text_[begin - 2]));
    if (escapes) return pass_escaped_literal();
    const auto end = text_.find('\'', begin + 1);
    if (end == std::string_view::npos) return false;
    if (std::memchr(text_.data() + begin, '\\', end - begin) != nullptr) return false;
    at_ = end + 1;
    return true;
  }

  bool pass_escaped_literal() {
    for (auto i = at_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '\'') {
        at_ = i + 1;
        return true;
      }
      if (text_[i] != '\\') continue;
      if (is_high(text_[i - 1])) return false;
      ++i;
    }
    return false;
  }

  // U&"s\0065t_config", with whatever for a backslash.
  [[nodiscard]] bool is_unicode_name() const {
    return at_ >= 2 && text_[at_ - 1] == '&' && lower(text_[at_ - 2]) == 'u';
  }

  bool pass_name() {
    const auto end = text_.find('"', at_ + 1);
    if (end == std::string_view::npos || at_head_) return false;
    const auto name = text_.substr(at_ + 1, end - at_ - 1);
    hit_ = !name.empty() && may_be_known(name) && meaning_of(name).has_value();
    last_ = token::other;
    at_ = end + 1;
    return true;
  }

  [[nodiscard]] bool is_comment() const {
    return at_ + 1 < text_.size() && text_[at_ + 1] == (text_[at_] == '-' ? '-' : '*');
  }

  // False: it has no end.
  bool pass_comment() {
    if (text_[at_] == '-') {
      at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      return true;
    }
    auto i = at_ + 2;
    for (unsigned depth = 1; i + 1 < text_.size(); ++i) {
      const bool opens = text_[i] == '/' && text_[i + 1] == '*';
      const bool closes = text_[i] == '*' && text_[i + 1] == '/';
      if (!opens && !closes) continue;
      ++i;
      depth += opens ? 1U : -1U;
      if (depth == 0) {
        at_ = i + 1;
        return true;
      }
    }
    return false;
  }

  // The rest of a text whose quotes cannot be told. A dollar is no part of a word here: it may end a tag.
  bool hits_blindly() {
    if (at_head_) return true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const auto here = kind_of(c);
      if (here == kind::letter) {
        const auto begin = at_;
        while (at_ < text_.size() && goes_on(kind_of(text_[at_]))) ++at_;
        const auto word = text_.substr(begin, at_ - begin);
        if (!may_be_known(word)) continue;
        if (may_select_into_ && equal_in_lower(word, "into")) return true;
        if (meaning_of(word)) return true;
        continue;
      }
      if (here == kind::quote && is_unicode_name()) return true;
      ++at_;
      if (here == kind::semicolon && hits_head_blindly()) return true;
    }
    return false;
  }

  bool hits_head_blindly() {
    while (at_ < text_.size() && (kind_of(text_[at_]) == kind::blank || text_[at_] == ';')) ++at_;
    if (at_ == text_.size()) return false;
    if (text_[at_] == '(') {
      may_select_into_ = true;
      return false;
    }
    if (kind_of(text_[at_]) != kind::letter) return true;
    const auto first = head_of(take_word());
    if (first == head::may_select_into) may_select_into_ = true;
    return first == head::matters;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool at_head_ = true;           // the next token begins a statement
  bool may_select_into_ = false;  // INTO makes a table in this one
  bool hit_ = false;
  token last_ = token::other;
};

}  // namespace

// With LATIN5 and a Turkish locale the server folds the capital I with a dot (0xdd, in UTF-8 0xc4 0xb0) to a plain i.
std::string fold_name(std::string_view name) {
  std::string folded;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool is_two = name[i] == '\xc4' && i + 1 < name.size() && name[i + 1] == '\xb0';
    folded.push_back(is_two || name[i] == '\xdd' ? 'i' : lower(name[i]));
    if (is_two) ++i;
  }
  return folded;
}

std::optional<trait_set> meaning_of(std::string_view name) {
  if (has_turkish(name)) return meaning_of(fold_name(name));
  if (name.size() >= temporary_schema.size() &&
      equal_in_lower(name.substr(0, temporary_schema.size()), temporary_schema)) {
    return trait_set{trait::temporary};
  }
  const auto as_long = std::ranges::equal_range(known_names, name.size(), {}, length_of);
  const auto known = std::ranges::find_if(as_long, [&](const auto& one) { return equal_in_lower(name, one.name); });
  if (known == as_long.end()) return {};
  return known->means;
}

bool may_matter(std::string_view text) { return word_scan(text).hits(); }

// A keyword is ASCII in every encoding, and can be neither quoted nor escaped.
bool may_ask_for_data(std::string_view text) {
  const auto has = [text](std::string_view word) {
    const auto same = [](char a, char b) { return lower(a) == b; };
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
  };
  return has("std") && has("copy") && (has("stdin") || has("stdout"));
}

}  // namespace pgwire
