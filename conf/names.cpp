#include "conf/names.hpp"

#include <algorithm>
#include <array>

#include "conf/units.hpp"
#include "conf/words.hpp"
#include "routing/ascii.hpp"

namespace conf {
namespace {

using routing::ascii_lower;
using routing::is_control;
using routing::is_digit;

constexpr bool begins_name(char c) { return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || c == '_'; }

constexpr std::size_t longest_host = 255;

std::unexpected<std::string> refused(std::string what) { return std::unexpected(std::move(what)); }

}  // namespace

std::optional<std::string> identifier_problem(std::string_view name) {
  if (name.empty()) return "a name cannot be empty";
  if (std::ranges::any_of(name, is_control)) return "the name " + in_quotes(name) + " holds a control character";
  if (name.size() > longest_identifier) {
    return "the name " + in_quotes(name) + " has " + std::to_string(name.size()) +
           " bytes; PostgreSQL's names have at most " + std::to_string(longest_identifier);
  }
  return std::nullopt;
}

std::optional<std::string> setting_name_problem(std::string_view name) {
  bool at_start = true;
  bool is_name = !name.empty() && name.size() <= longest_identifier;
  for (const char c : name) {
    if (at_start) {
      is_name = is_name && begins_name(c);
      at_start = false;
    } else if (c == '.') {
      at_start = true;
    } else {
      is_name = is_name && (begins_name(c) || is_digit(c) || c == '$');
    }
  }
  if (!is_name || at_start) {
    return in_quotes(name) + " is not the name of a setting; write one such as work_mem or app.tenant";
  }
  for (const std::string_view field : {"user", "database", "options", "replication"}) {
    if (same_setting(name, field)) {
      return in_quotes(name) +
             " is a field of the startup packet, not a setting; write one such as work_mem or app.tenant";
    }
  }
  return std::nullopt;
}

bool is_access_keyword(std::string_view text, access_column column) {
  if (text == "all") return true;
  constexpr std::array<std::string_view, 4> of_databases{"sameuser", "samerole", "samegroup", "replication"};
  return column == access_column::database && std::ranges::find(of_databases, text) != of_databases.end();
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto number = parse_integer(text);
  if (!number || *number < 1 || *number > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

std::expected<address, std::string> parse_address(std::string_view text) {
  const auto bad = std::ranges::find_if(text, [](char c) { return is_control(c) || c == ' ' || c == ','; });
  if (bad != text.end()) return refused(in_quotes(text) + " is not an address; write host or host:port, one an entry");
  address made;
  std::string_view port;
  bool has_port = false;
  const auto split = [&](std::size_t colon) {
    has_port = true;
    port = text.substr(colon + 1);
    text = text.substr(0, colon);
  };
  const std::string_view whole = text;
  const std::size_t colon = text.rfind(':');
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos || (close + 1 < text.size() && text[close + 1] != ':')) {
      return refused(in_quotes(whole) + " is not an address; write [::1] or [::1]:5432");
    }
    if (close + 1 < text.size()) split(close + 1);
    text = text.substr(1, close - 1);
    const bool is_v6 = text.contains(':') && std::ranges::all_of(text.substr(0, text.find('%')), [](char c) {
                         return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f') || c == ':' || c == '.';
                       });
    if (!is_v6) return refused(in_quotes(whole) + " is not an IPv6 address; brackets are for those only");
  } else if (text.starts_with('/')) {
    if (colon != std::string_view::npos && std::ranges::all_of(text.substr(colon + 1), is_digit)) split(colon);
  } else {
    if (std::ranges::count(text, ':') > 1) {
      return refused(in_quotes(whole) + " is not an address; write an IPv6 address in brackets, [::1]:5432");
    }
    if (colon != std::string_view::npos) split(colon);
    if (!text.empty() && std::ranges::all_of(text, is_digit)) {
      return refused(in_quotes(whole) + " names a port and no host; write host:port");
    }
    if (text.find_first_of("/[]@") != std::string_view::npos) {
      return refused(in_quotes(whole) + " is not an address; write host:port, or a socket's folder, /run/pg");
    }
  }
  if (text.empty()) return refused(in_quotes(whole) + " names no host; write host:port");
  if (text.size() > longest_host) return refused("the host " + in_quotes(text) + " is too long");
  if (has_port) {
    made.port = parse_port(port);
    if (!made.port) return refused(in_quotes(port) + " is not a port; write a number from 1 to 65535");
  }
  made.host = text;
  return made;
}

}  // namespace conf
