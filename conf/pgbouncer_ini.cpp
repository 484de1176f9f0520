#include "conf/pgbouncer_ini.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "conf/utf8.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

constexpr std::size_t most_errors = 100;
constexpr unsigned most_nested = 10;  // as PgBouncer's; an include of itself ends here
// Over all files, as includes multiply.
constexpr std::size_t most_entries = 100'000;
constexpr std::size_t most_includes = 100;

constexpr std::string_view blanks = " \t\r\v\f";

bool is_key_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         std::string_view("_.-*").contains(c);
}

std::string_view without_leading(std::string_view text, std::string_view what) {
  text.remove_prefix(std::min(text.find_first_not_of(what), text.size()));
  return text;
}

std::string_view trimmed(std::string_view text) {
  text = without_leading(text, blanks);
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

bool begins_comment(std::string_view text) { return text.starts_with(';') || text.starts_with('#'); }

// Takes what is in quotes off the front; a quote within is written twice. Nothing if it does not end.
std::optional<std::string> take_quoted(std::string_view& text) {
  const char quote = text.front();
  std::string inside;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == quote) {
      if (at + 1 == text.size() || text[at + 1] != quote) {
        text.remove_prefix(at + 1);
        return inside;
      }
      ++at;
    }
    inside += text[at];
  }
  return std::nullopt;
}

// PgBouncer's documentation writes names with double quotes, its reader wants single ones: both are read.
std::optional<std::string> take_key(std::string_view& line) {
  if (line.starts_with('\'') || line.starts_with('"')) return take_quoted(line);
  const auto end = std::ranges::find_if_not(line, is_key_character);
  const auto size = static_cast<std::size_t>(end - line.begin());
  std::string key(line.substr(0, size));
  line.remove_prefix(size);
  return key;
}

class ini_parser {
 public:
  explicit ini_parser(const include_reader& include) : include_(include) {}

  void read(std::string_view text, const std::string& file, unsigned depth) {
    if (const auto bad = find_bad_text(text)) return error(file, bad->at.line, "not UTF-8, or a control character");
    for (std::uint32_t number = 1; !text.empty(); ++number) {
      const auto end = std::min(text.find('\n'), text.size());
      const std::string_view line = trimmed(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      if (result_.entries.size() >= most_entries) return error(file, number, "too many settings");
      if (!line.empty() && !begins_comment(line)) read_line(line, file, number, depth);
    }
  }
  ini_reading take() && { return std::move(result_); }

 private:
  void error(const std::string& file, std::uint32_t line, std::string_view what) {
    if (result_.errors.size() < most_errors) {
      result_.errors.push_back(at_entry({file, line, {}, {}, {}}, what));
    }
  }

  void read_line(std::string_view line, const std::string& file, std::uint32_t number, unsigned depth) {
    constexpr std::string_view include = "%include";
    if (line.starts_with(include)) return read_include(line.substr(include.size()), file, number, depth);
    if (line.starts_with('[')) return read_section(line.substr(1), file, number);
    const auto key = take_key(line);
    line = without_leading(line, blanks);
    if (!key || key->empty() || !line.starts_with('=')) {
      return error(file, number, "no setting; write name = value, [section], %include FILE, or ; and a comment");
    }
    if (!section_) return error(file, number, "stands in no section; write [pgbouncer] or another above it");
    result_.entries.push_back({file, number, *section_, *key, std::string(trimmed(line.substr(1)))});
  }

  void read_section(std::string_view line, const std::string& file, std::uint32_t number) {
    const auto close = line.find(']');
    if (close == std::string_view::npos) return error(file, number, "a section's name needs a ] behind it");
    section_ = line.substr(0, close);
    const std::string_view rest = trimmed(line.substr(close + 1));
    if (!rest.empty() && !begins_comment(rest)) error(file, number, "what follows ] belongs on a line of its own");
  }

  void read_include(std::string_view rest, const std::string& file, std::uint32_t number, unsigned depth) {
    const std::string name(trimmed(rest));
    if (name.empty() || !blanks.contains(rest.front())) {
      return error(file, number, "write %include, a blank and the file's name");
    }
    if (depth == most_nested) return error(file, number, "includes are nested too deep");
    if (++includes_ > most_includes) return error(file, number, "too many includes");
    const auto text = include_(name);
    if (!text) return error(file, number, "cannot read " + in_quotes(name) + ": " + text.error());
    read(*text, name, depth + 1);
  }

  const include_reader& include_;
  std::optional<std::string> section_;  // goes on in includes, and after them
  std::size_t includes_ = 0;
  ini_reading result_;
};

}  // namespace

std::string at_entry(const ini_entry& entry, std::string_view what) {
  return entry.file + ":" + std::to_string(entry.line) + ": " + std::string(what);
}

ini_reading read_pgbouncer_ini(std::string_view text, const std::string& file, const include_reader& include) {
  ini_parser parser(include);
  parser.read(text, file, 0);
  return std::move(parser).take();
}

std::expected<std::vector<connection_parameter>, std::string> parse_connection_string(std::string_view text) {
  std::vector<connection_parameter> all;
  const std::string_view whole = text;
  const auto refused = [&](std::string_view what) {
    return std::unexpected(std::string(what) + " at character " + std::to_string(whole.size() - text.size() + 1) +
                           " of the connection string");
  };
  for (text = without_leading(text, blanks); !text.empty(); text = without_leading(text, blanks)) {
    const auto key_end = std::min(text.find_first_of("= \t"), text.size());
    const std::string_view key = text.substr(0, key_end);
    const std::string_view behind = without_leading(text.substr(key_end), blanks);
    if (key.empty() || !behind.starts_with('=')) return refused("name=value must stand");
    text = without_leading(behind.substr(1), blanks);

    std::string value;
    if (text.starts_with('\'')) {
      auto quoted = take_quoted(text);
      if (!quoted) return refused("a quote is not closed that begins");
      value = std::move(*quoted);
    } else {
      value = text.substr(0, text.find_first_of(blanks));
      text.remove_prefix(value.size());
    }
    if (value.empty()) return refused("a value must stand");
    all.push_back({std::string(key), std::move(value)});
  }
  return all;
}

}  // namespace conf
