#include "conf/utf8.hpp"

#include <cstddef>
#include <cstdint>

namespace conf {
namespace {

// Bytes of the character that begins here; 0 if none does.
std::size_t length_of_character(std::string_view text) {
  const auto byte = [&](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  std::uint32_t code = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(i) & 0x3f);
  }
  constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < least[length] || code > 0x10ffff || is_surrogate ? 0 : length;
}

}  // namespace

std::optional<text_problem> find_bad_text(std::string_view text) {
  position at;
  while (!text.empty()) {
    const char c = text.front();
    if (c == '\n') {
      ++at.line;
      at.column = 1;
      text.remove_prefix(1);
      continue;
    }
    const bool is_control = (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\r') || c == 0x7f;
    if (is_control) {
      constexpr std::string_view digits = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      return text_problem{at, std::string("a control character (byte 0x") + digits[byte >> 4] + digits[byte & 0xf] +
                                  "); remove it, or write it as an escape in double quotes"};
    }
    const std::size_t length = length_of_character(text);
    if (length == 0) return text_problem{at, "bytes that are not UTF-8; save the file in that encoding"};
    ++at.column;
    text.remove_prefix(length);
  }
  return std::nullopt;
}

}  // namespace conf
