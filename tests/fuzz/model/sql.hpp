// The SQL of the model server: what a fuzzer's clients say, and what the lodge says of its own. Read by hand, not by
// the parser that the lodge judges texts with.
//
// A client's statement has a comment in it (`clients_mark`), by which it can be told from the lodge's.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace fuzz_model {

inline constexpr std::string_view clients_mark = "/*c*/";

/// An item of a SELECT's list.
struct item {
  enum class kind {
    one,             ///< 1
    where,           ///< here(): what is found depends on the search_path, its shape too
    fails,           ///< an error when it runs
    broken,          ///< an error when it is parsed
    temporary,       ///< needs the temporary table
    set_config,      ///< name, value, local
    seed,            ///< setseed()
    lock,            ///< pg_advisory_lock()
    unlock,          ///< pg_advisory_unlock_all()
    setting_in_hex,  ///< name
    context,         ///< who may set it
    has_prepared,
    has_temporary,
    has_listening,
    has_lock,
    never,  ///< what the model server does not have
  };
  kind what;
  std::string name = {};
  std::optional<std::string> value = {};
  bool local = false;
  bool role_before = false;  ///< the value is the role that the statement found
};

struct statement {
  enum class kind {
    select,
    every_setting,
    show,
    set,  ///< no value: to its default
    reset_all,
    discard_all,
    discard_sequences,
    begin,
    commit,
    rollback,
    savepoint,
    rollback_to,
    release,
    copy_in,
    copy_out,
    prepare,
    execute,
    deallocate,
    deallocate_all,
    listen,
    unlisten,
    create_temporary,
    drop_temporary,
    unseen,  ///< a DO whose inside sets something
  };
  kind what;
  std::string text = {};
  bool clients = false;
  std::string name = {};
  std::optional<std::string> value = {};
  bool local = false;
  std::vector<item> items = {};
  std::shared_ptr<const statement> body = nullptr;  ///< of PREPARE

  [[nodiscard]] bool ends_transaction() const {
    return what == kind::commit || what == kind::rollback || what == kind::rollback_to;
  }
  /// It asks for COPY data, and fails before it has read any.
  [[nodiscard]] bool fails_early() const { return text.contains("FREEZE"); }
  [[nodiscard]] bool is_of_transaction() const {
    return ends_transaction() || what == kind::begin || what == kind::savepoint || what == kind::release;
  }
};
using statement_ptr = std::shared_ptr<const statement>;
/// Nothing: a syntax error.
using statements = std::optional<std::vector<statement_ptr>>;

namespace detail {

inline std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// At each `at` outside of quotes and parentheses.
inline std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  std::size_t begin = 0;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') quoted = !quoted;
    if (quoted) continue;
    depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
    if (text[i] != at || depth != 0) continue;
    parts.push_back(text.substr(begin, i - begin));
    begin = i + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

// The first constant in it; nothing: there is none.
inline std::optional<std::string> constant(std::string_view text) {
  const auto begin = text.find('\'');
  const auto end = begin == std::string_view::npos ? begin : text.find('\'', begin + 1);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(begin + 1, end - begin - 1));
}

inline std::optional<item> read_item(std::string_view text) {
  using kind = item::kind;
  static constexpr std::array<std::pair<std::string_view, kind>, 7> words{{{"1", kind::one},
                                                                           {"here()", kind::where},
                                                                           {"fails()", kind::fails},
                                                                           {"broken", kind::broken},
                                                                           {"(TABLE tt)", kind::temporary},
                                                                           {"pg_advisory_lock(1)", kind::lock},
                                                                           {"pg_advisory_unlock_all()", kind::unlock}}};
  for (const auto& [word, what] : words) {
    if (text == word) return item{what};
  }
  if (const auto at = text.find("set_config("); at == 0 || text.starts_with("pg_catalog.set_config(")) {
    const auto arguments = split(text.substr(at + 11, text.size() - at - 12), ',');
    if (arguments.size() != 3) return std::nullopt;
    return item{kind::set_config, *constant(arguments[0]), constant(arguments[1]), trim(arguments[2]) == "true",
                arguments[1] == "before.role"};
  }
  if (text.starts_with("pg_catalog.setseed(")) return item{kind::seed};
  if (text.starts_with("pg_catalog.encode(")) return item{kind::setting_in_hex, *constant(text)};
  if (text.starts_with("(SELECT context FROM")) return item{kind::context, *constant(text)};
  if (!text.starts_with("EXISTS(")) return std::nullopt;
  if (text.contains("from_sql")) return item{kind::has_prepared};
  if (text.contains("pg_my_temp_schema")) return item{kind::has_temporary};
  if (text.contains("pg_listening_channels")) return item{kind::has_listening};
  if (text.contains("'advisory'")) return item{kind::has_lock};
  return item{kind::never};
}

inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!(text = trim(text)).empty()) {
    const auto end = std::min(text.find_first_of(" \n"), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

inline std::string value_of(const std::string& word) { return constant(word).value_or(word); }

statement_ptr read_one(std::string_view text);

// SET [LOCAL] x TO v, SET [LOCAL] ROLE v
inline bool read_set(const std::vector<std::string>& words, statement& made) {
  std::size_t at = 1;
  made.local = words.size() > at && words[at] == "LOCAL";
  at += made.local ? 1 : 0;
  if (words.size() <= at + 1) return false;
  const bool role = words[at] == "ROLE";
  made.name = role ? "role" : words[at];
  if (!role && words[at + 1] != "TO") return false;
  at += role ? 1 : 2;
  if (words.size() != at + 1) return false;
  if (words[at] != "DEFAULT") made.value = role && words[at] == "NONE" ? "none" : value_of(words[at]);
  return true;
}

inline bool read_words(const std::vector<std::string>& words, std::string_view plain, statement& made) {
  using kind = statement::kind;
  static const std::unordered_map<std::string_view, kind> whole{{"RESET ALL", kind::reset_all},
                                                                {"DISCARD ALL", kind::discard_all},
                                                                {"BEGIN", kind::begin},
                                                                {"COMMIT", kind::commit},
                                                                {"ROLLBACK", kind::rollback},
                                                                {"DISCARD SEQUENCES", kind::discard_sequences},
                                                                {"COPY t FROM STDIN", kind::copy_in},
                                                                {"COPY t FROM STDIN (FREEZE)", kind::copy_in},
                                                                {"COPY t TO STDOUT", kind::copy_out},
                                                                {"UNLISTEN *", kind::unlisten},
                                                                {"DEALLOCATE ALL", kind::deallocate_all},
                                                                {"DROP TABLE tt", kind::drop_temporary},
                                                                {"CREATE TEMP TABLE tt ()", kind::create_temporary},
                                                                {"DO 'set_something'", kind::unseen}};
  if (const auto known = whole.find(plain); known != whole.end()) {
    made.what = known->second;
    return true;
  }
  static const std::unordered_map<std::string_view, kind> with_name{
      {"SHOW", kind::show},       {"RESET", kind::set},       {"SAVEPOINT", kind::savepoint},
      {"RELEASE", kind::release}, {"EXECUTE", kind::execute}, {"DEALLOCATE", kind::deallocate},
      {"LISTEN", kind::listen}};
  if (words.size() == 2) {
    const auto known = with_name.find(words[0]);
    if (known == with_name.end()) return false;
    made.what = known->second;
    made.name = words[1] == "ROLE" ? "role" : words[1];
    return true;
  }
  if (plain.starts_with("ROLLBACK TO ")) {
    made.what = kind::rollback_to;
    made.name = words[2];
    return true;
  }
  if (words[0] == "SET") {
    made.what = kind::set;
    return read_set(words, made);
  }
  if (words[0] == "PREPARE" && words.size() > 3 && words[2] == "AS") {
    made.what = kind::prepare;
    made.name = words[1];
    made.body = read_one(made.text.substr(made.text.find(" AS ") + 4));
    return made.body != nullptr;
  }
  return false;
}

// Null: a syntax error.
inline statement_ptr read_one(std::string_view text) {
  statement made{statement::kind::select, std::string(trim(text))};
  std::string plain = made.text;
  if (const auto at = plain.find(clients_mark); at != std::string::npos) {
    made.clients = true;
    plain.erase(at, clients_mark.size());
  }
  plain = trim(plain);
  if (plain.starts_with("SELECT name,")) {
    made.what = statement::kind::every_setting;
  } else if (plain.starts_with("SELECT ")) {
    if (const auto from = plain.find(" FROM (SELECT pg_catalog.current_setting('role')"); from != std::string::npos) {
      plain.erase(from);
    }
    for (const auto part : split(std::string_view(plain).substr(7), ',')) {
      auto read = read_item(trim(part));
      if (!read) return nullptr;
      made.items.push_back(std::move(*read));
    }
  } else if (!read_words(words_of(plain), plain, made)) {
    return nullptr;
  }
  return std::make_shared<const statement>(std::move(made));
}

inline statements read_all(std::string_view text) {
  std::vector<statement_ptr> all;
  for (const auto part : split(text, ';')) {
    if (trim(part).empty() || trim(part) == clients_mark) continue;
    auto one = read_one(part);
    if (!one) return std::nullopt;
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace detail

/// Remembered by the text: reading depends on nothing else.
inline const statements& read(const std::string& text) {
  static std::unordered_map<std::string, statements> known;
  if (known.size() > 10'000) known.clear();
  const auto found = known.find(text);
  return found != known.end() ? found->second : known.emplace(text, detail::read_all(text)).first->second;
}

}  // namespace fuzz_model
