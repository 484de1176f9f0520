// What a session's messages come to, counted where they are understood.
#pragma once

#include <charconv>
#include <cstdint>
#include <string_view>

namespace proxy::desk {

/// The members are those of `usage_counts`, which says what each means.
struct traffic_tally {
  std::uint64_t rows = 0;
  std::uint32_t transactions = 0;
  std::uint32_t statements = 0;
  std::uint32_t errors = 0;
};

/// The number a command tag ends with: "INSERT 0 3", "SELECT 42"; 0 if it ends with none.
inline std::uint64_t rows_of_tag(std::string_view tag) {
  const auto space = tag.rfind(' ');
  if (space == std::string_view::npos) return 0;
  std::uint64_t rows = 0;
  const char* const end = tag.data() + tag.size();
  const auto read = std::from_chars(tag.data() + space + 1, end, rows);
  return read.ec == std::errc() && read.ptr == end ? rows : 0;
}

}  // namespace proxy::desk
