#include "protocol/writer.hpp"

#include <array>
#include <utility>

namespace pgwire {
namespace {

std::array<char, 4> big_endian(std::uint32_t number) {
  return {static_cast<char>(number >> 24), static_cast<char>(number >> 16), static_cast<char>(number >> 8),
          static_cast<char>(number)};
}

}  // namespace

writer& writer::begin(char type) {
  letter(type);
  return begin_untyped();
}

writer& writer::begin_untyped() {
  length_at_ = out_.size();
  return u32(0);
}

writer& writer::finish() {
  const auto length = big_endian(static_cast<std::uint32_t>(out_.size() - length_at_));
  out_.replace(length_at_, length.size(), length.data(), length.size());
  return *this;
}

writer& writer::u8(std::uint8_t number) {
  out_.push_back(static_cast<char>(number));
  return *this;
}

writer& writer::u16(std::uint16_t number) {
  return u8(static_cast<std::uint8_t>(number >> 8)).u8(static_cast<std::uint8_t>(number));
}

writer& writer::u32(std::uint32_t number) {
  const auto four = big_endian(number);
  out_.append(four.data(), four.size());
  return *this;
}

writer& writer::cstring(std::string_view text) {
  bytes(text);
  return u8(0);
}

writer& writer::bytes(std::string_view text) {
  out_.append(text);
  return *this;
}

writer& writer::value(std::optional<std::string_view> text) {
  if (!text) return i32(-1);
  return u32(static_cast<std::uint32_t>(text->size())).bytes(*text);
}

std::string writer::take() { return std::exchange(out_, {}); }

}  // namespace pgwire
