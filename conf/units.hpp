// Numbers and units as the files write them, and as nothing else: YAML's own readings (070 is 56, 1e3 is 1000, yes is
// true) depend on the reader's version, so the text decides here.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace conf {

/// The error says what is wrong and what to write instead.
template <class T>
using read_result = std::expected<T, std::string>;

/// Nothing longer is meant seriously, and sums of a few stay far from overflow.
inline constexpr std::chrono::milliseconds longest_duration = std::chrono::hours(24 * 365);
inline constexpr std::uint64_t largest_size = std::uint64_t{1} << 40;  // 1 TiB

/// Decimal digits only.
read_result<std::uint64_t> parse_integer(std::string_view text);
/// "250ms", "5s", "2m", "1h", "0".
read_result<std::chrono::milliseconds> parse_duration(std::string_view text);
/// "64KiB", "16MiB", "1GiB", or bytes as a plain number.
read_result<std::uint64_t> parse_size(std::string_view text);

}  // namespace conf
