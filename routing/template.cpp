#include "routing/template.hpp"

#include <algorithm>

namespace routing {
namespace {

std::string in_braces(std::initializer_list<std::string_view> names) {
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "{" : ", {") + std::string(name) + "}";
  return list;
}

}  // namespace

std::expected<name_template, std::string> name_template::parse(std::string_view text,
                                                               std::initializer_list<std::string_view> known) {
  name_template made;
  made.text_ = text;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) made.parts_.push_back({false, std::exchange(literal, {})});
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      literal += c;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      literal += c;
      ++at;
      continue;
    }
    if (c == '}') return std::unexpected("'}' without '{'; write \"}}\" for the character itself");
    const auto close = text.find('}', at);
    if (close == std::string_view::npos) {
      return std::unexpected("'{' without '}'; write \"{{\" for the character itself");
    }
    const std::string_view variable = text.substr(at + 1, close - at - 1);
    if (std::ranges::find(known, variable) == known.end()) {
      return std::unexpected("unknown variable {" + std::string(variable) + "}; known here: " + in_braces(known));
    }
    if (made.has(variable)) return std::unexpected("{" + std::string(variable) + "} may occur only once");
    end_literal();
    if (!made.parts_.empty() && made.parts_.back().is_variable) {
      return std::unexpected("{" + made.parts_.back().text + "}{" + std::string(variable) +
                             "} need text between them that says where one ends");
    }
    made.parts_.push_back({true, std::string(variable)});
    at = close;
  }
  end_literal();
  return made;
}

// No backtracking: taking the first place where a literal stands leaves the most for what follows.
std::optional<name_template::captures> name_template::match(std::string_view input) const {
  captures found;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const part& one = parts_[i];
    if (!one.is_variable) {
      if (!input.starts_with(one.text)) return std::nullopt;
      input.remove_prefix(one.text.size());
      continue;
    }
    std::size_t length = input.size();
    const bool is_last_variable = i + 2 >= parts_.size();
    if (i + 1 < parts_.size()) {
      const std::string_view next = parts_[i + 1].text;
      if (is_last_variable) {
        if (!input.ends_with(next)) return std::nullopt;
        length = input.size() - next.size();
      } else {
        length = input.find(next, 1);
        if (length == std::string_view::npos) return std::nullopt;
      }
    }
    if (length == 0) return std::nullopt;
    found.emplace_back(one.text, input.substr(0, length));
    input.remove_prefix(length);
  }
  if (!input.empty()) return std::nullopt;
  return found;
}

std::string name_template::fill(std::string_view tenant) const {
  std::string filled;
  for (const part& one : parts_) filled += one.is_variable ? tenant : std::string_view(one.text);
  return filled;
}

bool name_template::has(std::string_view variable) const {
  return std::ranges::any_of(parts_, [&](const part& one) { return one.is_variable && one.text == variable; });
}

}  // namespace routing
