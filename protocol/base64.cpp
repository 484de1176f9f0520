#include "protocol/base64.hpp"

#include <array>
#include <cstdint>

namespace pgwire {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_digit = 0xff;

constexpr auto values = [] {
  std::array<std::uint8_t, 256> of{};
  of.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    of[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return of;
}();

}  // namespace

std::string base64_encode(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  while (!bytes.empty()) {
    const auto taken = bytes.first(bytes.size() < 3 ? bytes.size() : 3);
    bytes = bytes.subspan(taken.size());
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i)
      group = group << 8 | (i < taken.size() ? std::to_integer<std::uint32_t>(taken[i]) : 0);
    // n bytes are n + 1 digits; padding makes them four.
    for (std::size_t i = 0; i < 4; ++i) text += i > taken.size() ? '=' : alphabet[group >> (18 - 6 * i) & 63];
  }
  return text;
}

std::optional<std::size_t> base64_decode(std::string_view text, std::span<std::byte> out) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t written = 0;
  while (!text.empty()) {
    auto digits = text.substr(0, 4);
    text.remove_prefix(4);
    if (text.empty() && digits.ends_with('=')) digits.remove_suffix(digits.ends_with("==") ? 2 : 1);

    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint8_t value = i < digits.size() ? values[static_cast<std::uint8_t>(digits[i])] : 0;
      if (value == no_digit) return std::nullopt;
      group = group << 6 | value;
    }
    const std::size_t bytes = digits.size() - 1;
    if (bytes > out.size() - written) return std::nullopt;
    for (std::size_t i = 0; i < bytes; ++i) out[written++] = std::byte(group >> (16 - 8 * i) & 0xff);
    if ((group & 0xffffffU >> 8 * bytes) != 0) return std::nullopt;  // bits that belong to no byte
  }
  return written;
}

}  // namespace pgwire
