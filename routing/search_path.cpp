#include "routing/search_path.hpp"

#include <cstddef>
#include <utility>

#include "routing/ascii.hpp"

namespace routing {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::optional<std::vector<std::string>> split_search_path(std::string_view text) {
  std::vector<std::string> names;
  std::size_t at = 0;
  const auto skip_blanks = [&] {
    while (at < text.size() && is_blank(text[at])) ++at;
  };
  skip_blanks();
  if (at == text.size()) return names;
  for (;;) {
    std::string name;
    if (at < text.size() && text[at] == '"') {
      for (++at;; ++at) {
        if (at >= text.size()) return std::nullopt;
        if (text[at] == '"') {
          if (at + 1 >= text.size() || text[at + 1] != '"') break;
          ++at;
        }
        name += text[at];
      }
      ++at;
    } else {
      while (at < text.size() && text[at] != ',' && !is_blank(text[at])) {
        name += ascii_lower(text[at++]);
      }
      if (name.empty()) return std::nullopt;
    }
    names.push_back(std::move(name));
    skip_blanks();
    if (at == text.size()) return names;
    if (text[at] != ',') return std::nullopt;
    ++at;
    skip_blanks();
  }
}

}  // namespace routing
