// What `pglodge usage` prints: a table for people, CSV (RFC 4180) and JSON for programs.
#pragma once

#include <cstdint>
#include <string>

#include "proxy/desk/usage_reader.hpp"

namespace proxy::desk {

enum class usage_format : std::uint8_t {
  table,  ///< aligned; bytes and times in units that suit them
  csv,    ///< a line of names, then a line for each tenant, ended by CR LF; whole numbers, times in microseconds
  json,   ///< an array of objects, one a line; the same names and numbers
};

/// Whole lines. Without any tenant the table and the CSV have their heading only.
std::string to_text(const usage_sums& sums, usage_format format);

/// Rounded down: "999 B", "1.4 KiB", "23.0 GiB"
std::string human_bytes(std::uint64_t bytes);
/// Rounded down, the two largest units: "12 us", "1.5 s", "2 m 05 s", "3 h 07 m", "12 d 04 h"
std::string human_time(std::uint64_t microseconds);

}  // namespace proxy::desk
