#include "conf/yaml_writer.hpp"

#include <algorithm>
#include <array>

#include "routing/ascii.hpp"

namespace conf {
namespace {

bool is_letter_or_digit(char c) {
  const char lower = routing::ascii_lower(c);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
}

// Words that some reader of YAML takes for something else than text.
bool is_word_of_yaml(std::string_view text) {
  constexpr std::array<std::string_view, 9> words{"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  return std::ranges::any_of(
      words, [&](std::string_view word) { return std::ranges::equal(text, word, {}, routing::ascii_lower); });
}

bool may_stand_bare(std::string_view text) {
  if (text.empty() || text.ends_with(':') || is_word_of_yaml(text)) return false;
  if (!is_letter_or_digit(text.front()) && text.front() != '/' && text.front() != '_') return false;
  return std::ranges::all_of(text,
                             [](char c) { return is_letter_or_digit(c) || std::string_view("_/.:-").contains(c); });
}

}  // namespace

std::string yaml_scalar(std::string_view text) {
  if (may_stand_bare(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\t') {
      quoted += "\\t";
    } else if (c == '\r') {
      quoted += "\\r";
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string yaml_template(std::string_view literal) {
  std::string doubled;
  for (const char c : literal) {
    if (c == '{' || c == '}') doubled += c;
    doubled += c;
  }
  return yaml_scalar(doubled);
}

std::string yaml_list(const std::vector<std::string>& items) {
  std::string list = "[";
  for (const std::string& item : items) list += (list.size() > 1 ? ", " : "") + item;
  return list + "]";
}

std::string yaml_flow::str() const {
  std::string flow = "{";
  for (const auto& [key, value] : pairs_)
    flow.append(flow.size() > 1 ? ", " : " ").append(key).append(": ").append(value);
  return flow + (pairs_.empty() ? "}" : " }");
}

}  // namespace conf
