// Moments in UTC as people and machines write them: RFC 3339, and the date alone.
#pragma once

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace proxy::desk {

using utc_time = std::chrono::sys_time<std::chrono::milliseconds>;

/// "2026-11-24T17:53:29.120Z". Years 0 to 9999.
std::string to_rfc3339(utc_time when);
/// "2026-11-24"
std::string to_date(std::chrono::sys_days day);

/// Exactly "2026-11-24", a day there is.
std::optional<std::chrono::sys_days> parse_date(std::string_view text);

/// A date, which is its first moment, or a time of RFC 3339 (5.6): "2026-11-24T17:53:29.12+01:00". Besides, a blank
/// may stand for the T, and the zone may be left out, which is UTC. What is finer than a millisecond is cut off. The
/// error says what to write.
std::expected<utc_time, std::string> parse_time(std::string_view text);

}  // namespace proxy::desk
