#include "conf/words.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "routing/ascii.hpp"

namespace conf {
namespace {

constexpr std::size_t longest_quote = 80;
constexpr std::size_t longest_slip = 40;  // a longer word is not compared: the cost is the product of the lengths

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.-*$@{}").contains(c) || static_cast<unsigned char>(c) >= 0x80;
}

// Optimal string alignment: Levenshtein's distance with swaps of neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::size_t shown = std::min(text.size(), longest_quote);
  // Not in the middle of a UTF-8 character.
  while (shown < text.size() && shown > 0 && (static_cast<unsigned char>(text[shown]) & 0xc0) == 0x80) --shown;
  std::string result = "\"";
  for (const char c : text.substr(0, shown)) {
    if (routing::is_control(c)) {
      const auto byte = static_cast<unsigned char>(c);
      result += {'\\', 'x', digits[byte >> 4], digits[byte & 0xf]};
    } else {
      if (c == '"' || c == '\\') result += '\\';
      result += c;
    }
  }
  return result + (shown < text.size() ? "…\"" : "\"");
}

std::string any_of_words(std::span<const std::string_view> words) {
  std::string list;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) list += i + 1 == words.size() ? " or " : ", ";
    list += words[i];
  }
  return list;
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> words) {
  if (text.size() > longest_slip) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(1, text.size() / 3) + 1;
  for (const std::string_view word : words) {
    if (word.size() > longest_slip) continue;
    const std::size_t edits = distance(text, word);
    if (edits < least && edits < word.size()) {
      least = edits;
      best = word;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> words) {
  const std::string_view meant = nearest(text, words);
  return meant.empty() ? "" : "; did you mean " + in_quotes(meant) + "?";
}

void append_path_part(std::string& path, std::string_view part) {
  if (!path.empty()) path += '.';
  if (!part.empty() && part.size() <= longest_quote && std::ranges::all_of(part, is_plain)) {
    path += part;
  } else {
    path += in_quotes(part);
  }
}

}  // namespace conf
