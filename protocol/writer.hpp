// Builds messages into a string, all big-endian; the length of each is filled in when it is finished.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pgwire {

class writer {
 public:
  /// Begins a message with its type byte.
  writer& begin(char type);
  /// Begins a packet that has no type byte.
  writer& begin_untyped();
  /// Fills in the length of the message begun last. A message must be finished before the next begins, and
  /// must be shorter than 2 GiB.
  writer& finish();

  writer& u8(std::uint8_t number);
  writer& u16(std::uint16_t number);
  writer& u32(std::uint32_t number);
  writer& i16(std::int16_t number) { return u16(static_cast<std::uint16_t>(number)); }
  writer& i32(std::int32_t number) { return u32(static_cast<std::uint32_t>(number)); }
  writer& letter(char c) { return u8(static_cast<std::uint8_t>(c)); }
  /// A count of two bytes, for lists of up to 65,535 entries.
  writer& count(std::size_t entries) { return u16(static_cast<std::uint16_t>(entries)); }
  /// With a zero byte behind it; `text` holds none.
  writer& cstring(std::string_view text);
  writer& bytes(std::string_view text);
  /// Behind its length of four bytes; nothing is null, a length of -1.
  writer& value(std::optional<std::string_view> text);

  /// All finished messages; the writer is empty afterwards.
  std::string take();

 private:
  std::string out_;
  std::size_t length_at_ = 0;
};

}  // namespace pgwire
