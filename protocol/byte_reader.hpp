// Reads the fields of one message, in order, all big-endian (PostgreSQL docs, 55.6).
//
// The first error sticks: from then on every read gives zero or nothing, and `finish` reports it. So a
// decoder is a plain list of reads, and no read can reach beyond the body.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "protocol/error.hpp"

namespace pgwire {

using byte_view = std::span<const std::byte>;

inline std::string_view as_text(byte_view bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline byte_view as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

/// Four bytes, big-endian. They must be there.
inline std::uint32_t load_u32(const std::byte* at) {
  return std::to_integer<std::uint32_t>(at[0]) << 24 | std::to_integer<std::uint32_t>(at[1]) << 16 |
         std::to_integer<std::uint32_t>(at[2]) << 8 | std::to_integer<std::uint32_t>(at[3]);
}

class byte_reader {
 public:
  /// What it gives are views into `body`.
  explicit byte_reader(byte_view body) : rest_(body) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(big_endian(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t u32() { return big_endian(4); }
  std::int16_t i16() { return static_cast<std::int16_t>(u16()); }
  std::int32_t i32() { return static_cast<std::int32_t>(u32()); }
  char letter() { return static_cast<char>(u8()); }

  /// The bytes up to a zero byte, which is skipped. Error: missing_terminator.
  std::string_view cstring() {
    const auto text = as_text(rest_);
    const auto end = text.find('\0');
    if (end == std::string_view::npos) {
      fail(errc::missing_terminator);
      return {};
    }
    rest_ = rest_.subspan(end + 1);
    return text.substr(0, end);
  }

  /// Exactly `count` bytes. Error: truncated.
  std::string_view bytes(std::size_t count) {
    if (count > rest_.size()) {
      fail(errc::truncated);
      return {};
    }
    const auto taken = rest_.first(count);
    rest_ = rest_.subspan(count);
    return as_text(taken);
  }

  std::string_view remaining() { return bytes(rest_.size()); }

  /// A value behind its length of four bytes; a length of -1 is null. Errors: truncated; bad_field below -1.
  std::optional<std::string_view> value() {
    const auto length = i32();
    if (length == -1) return std::nullopt;
    if (length < 0) {
      fail(errc::bad_field);
      return std::nullopt;
    }
    return bytes(static_cast<std::size_t>(length));
  }

  /// For what the caller finds wrong in a field.
  void fail(errc code) {
    if (!failed_) error_ = code;
    failed_ = true;
    rest_ = {};
  }

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }

  /// The message if every read went well and nothing is left. Errors: the first one; trailing_bytes.
  template <class Message>
  [[nodiscard]] result<Message> finish(Message message) const {
    if (failed_) return std::unexpected(error_);
    if (!rest_.empty()) return std::unexpected(errc::trailing_bytes);
    return message;
  }

 private:
  std::uint32_t big_endian(std::size_t count) {
    std::uint32_t number = 0;
    for (const char c : bytes(count)) number = number << 8 | static_cast<std::uint8_t>(c);
    return number;
  }

  byte_view rest_;
  // Not an optional: g++ 12 takes the value of an empty one for uninitialised here.
  errc error_ = errc::truncated;
  bool failed_ = false;
};

}  // namespace pgwire
