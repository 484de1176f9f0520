// One line of the usage ledger: what one tenant used in one interval of one run of the daemon, as a JSON object.
//
//   {"key":"9f86d081884c7d65-17-acme","from":"2026-11-24T17:00:00.000Z","to":"2026-11-24T17:01:00.000Z",
//    "tenant":"acme","transactions":120, ... "peak_clients":3}
//
// (on one line). The key is <run>-<interval>-<tenant>. It says the same as the fields it is made from, so that a reader
// who only stores lines by their keys has all he needs. USAGE.md has the format for those who bill from it.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "proxy/desk/usage_counts.hpp"
#include "proxy/desk/utc_time.hpp"

namespace proxy::desk {

/// Longer lines are nobody's of ours, which have less than 1 KiB.
inline constexpr std::size_t longest_usage_line = std::size_t{16} * 1024;

/// What a JSON reader whose numbers are doubles takes exactly (RFC 8259, section 6). Of bytes it is 9 PB, of
/// microseconds 285 years; nothing larger is true of an interval, and sums of thousands of these cannot overflow.
inline constexpr std::uint64_t largest_usage_count = std::uint64_t{1} << 53;

struct usage_line {
  std::string run;             ///< 16 hexadecimal digits, drawn when the daemon started
  std::uint64_t interval = 0;  ///< counts from 1 in each run
  utc_time from, to;
  std::string tenant;  ///< an id, or empty: sessions that name no tenant
  usage_counts counts;

  friend bool operator==(const usage_line&, const usage_line&) = default;
};

/// Eight random bytes as hexadecimal digits.
std::string new_run();

/// Without the line's end. Counts above largest_usage_count are written as that.
std::string to_json(const usage_line& line);

/// Reads a line, without its end. Fields that it does not know are passed over, and a count that is not there is 0: the
/// line may be of a later version or of an earlier one. The error is a reason.
std::expected<usage_line, std::string> parse_usage_line(std::string_view text);

}  // namespace proxy::desk
