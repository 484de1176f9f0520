#include "protocol/startup_options.hpp"

#include <algorithm>
#include <optional>

namespace pgwire {
namespace {

// The switches of process_postgres_switches (PostgreSQL 15), in getopt's notation.
constexpr std::string_view switches = "B:bC:c:D:d:EeFf:h:ijk:lN:nOPp:r:S:sTt:v:W:-:";

// isspace() of the C locale: the same for any byte of UTF-8.
bool is_blank(char c) { return std::string_view(" \t\n\v\f\r").contains(c); }

// pg_split_opts: a backslash at the very end counts for nothing, but what it stands in is an argument.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> arguments;
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && is_blank(text[at])) ++at;
    if (at == text.size()) return arguments;
    auto& argument = arguments.emplace_back();
    for (bool escaped = false; at < text.size() && (escaped || !is_blank(text[at])); ++at) {
      if (!escaped && text[at] == '\\') {
        escaped = true;
      } else {
        escaped = false;
        argument.push_back(text[at]);
      }
    }
  }
}

enum class switch_kind { unknown, flag, with_argument };

switch_kind kind_of_switch(char letter) {
  const auto at = switches.find(letter);
  if (letter == ':' || at == std::string_view::npos) return switch_kind::unknown;
  return at + 1 < switches.size() && switches[at + 1] == ':' ? switch_kind::with_argument : switch_kind::flag;
}

// ParseLongOption.
result<parameter> parse_setting(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) return std::unexpected(errc::bad_options);
  std::string name(text.substr(0, equals));
  std::ranges::replace(name, '-', '_');
  return parameter(std::move(name), text.substr(equals + 1));
}

void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (is_blank(c) || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
}

}  // namespace

result<startup_options> parse_options(std::string_view text) {
  startup_options options;
  const auto arguments = split(text);
  std::size_t next = 0;

  // One argument that begins with '-': letters, the last of which may take the rest or the next argument.
  // Gives false where the server would stop reading and refuse.
  const auto read_cluster = [&](std::string_view letters) -> result<bool> {
    for (std::size_t i = 0; i < letters.size(); ++i) {
      const char letter = letters[i];
      const auto what = kind_of_switch(letter);
      if (what == switch_kind::unknown) {
        options.other.push_back("-" + std::string(letters.substr(i)));
        return false;
      }
      if (what == switch_kind::flag) {
        options.other.push_back({'-', letter});
        continue;
      }
      const bool is_setting = letter == 'c' || letter == '-';
      std::optional<std::string_view> attached;
      if (i + 1 < letters.size()) attached = letters.substr(i + 1);
      if (is_setting) {
        if (!attached && next == arguments.size()) return std::unexpected(errc::bad_options);
        auto setting = parse_setting(attached ? *attached : arguments[next++]);
        if (!setting) return std::unexpected(setting.error());
        options.settings.push_back(std::move(*setting));
        return true;
      }
      options.other.push_back("-" + std::string(letters.substr(i)));
      if (!attached && next < arguments.size()) options.other.push_back(arguments[next++]);
      return true;
    }
    return true;
  };

  while (next < arguments.size()) {
    const auto& argument = arguments[next];
    const bool is_switch = argument.size() > 1 && argument[0] == '-' && argument != "--";
    if (!is_switch) break;
    ++next;
    const auto go_on = read_cluster(std::string_view(argument).substr(1));
    if (!go_on) return std::unexpected(go_on.error());
    if (!*go_on) break;
  }
  options.other.insert(options.other.end(), arguments.begin() + static_cast<std::ptrdiff_t>(next), arguments.end());
  return options;
}

std::string encode_options(const startup_options& options) {
  std::string out;
  for (const auto& [name, value] : options.settings) {
    if (!out.empty()) out.push_back(' ');
    out += "-c ";
    append_escaped(out, name);
    out.push_back('=');
    append_escaped(out, value);
  }
  for (const auto& argument : options.other) {
    if (!out.empty()) out.push_back(' ');
    // An empty argument can be written at the end only, and comes from there: a backslash with nothing behind
    // it.
    if (argument.empty()) out.push_back('\\');
    append_escaped(out, argument);
  }
  return out;
}

std::string canonical_setting_name(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (lower == "sort_mem") return "work_mem";
  if (lower == "vacuum_mem") return "maintenance_work_mem";
  return lower;
}

}  // namespace pgwire
