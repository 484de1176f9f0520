// The repeated fields that messages of both directions share: a count of two bytes, then the entries.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/byte_reader.hpp"
#include "protocol/writer.hpp"

namespace pgwire {

/// Reads as many entries as a count says, and stops at the first error, so that a lying count costs nothing.
template <class Read>
auto read_list(byte_reader& in, std::uint32_t count, Read read) {
  std::vector<decltype(read())> list;
  for (std::uint32_t i = 0; i < count && in.ok(); ++i) list.push_back(read());
  return list;
}

inline std::vector<std::int16_t> read_formats(byte_reader& in) {
  return read_list(in, in.u16(), [&] { return in.i16(); });
}
inline std::vector<std::uint32_t> read_oids(byte_reader& in) {
  return read_list(in, in.u16(), [&] { return in.u32(); });
}
inline std::vector<std::optional<std::string_view>> read_values(byte_reader& in) {
  return read_list(in, in.u16(), [&] { return in.value(); });
}

inline void write_formats(writer& out, const std::vector<std::int16_t>& formats) {
  out.count(formats.size());
  for (const auto format : formats) out.i16(format);
}
inline void write_oids(writer& out, const std::vector<std::uint32_t>& oids) {
  out.count(oids.size());
  for (const auto oid : oids) out.u32(oid);
}
inline void write_values(writer& out, const std::vector<std::optional<std::string_view>>& values) {
  out.count(values.size());
  for (const auto& value : values) out.value(value);
}

}  // namespace pgwire
