// Every setting of PgBouncer 1.25, one row each, with what becomes of it: the one place that knows which there are.
//
// What a row says is told to whoever imports a file that has the setting. What depends on the value is said where the
// value is translated, in pgbouncer_daemon.cpp and pgbouncer_routes.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace conf {

enum class pgbouncer_section : std::uint8_t { pgbouncer, databases, users, peers };

enum class pgbouncer_kind : std::uint8_t { text, integer, seconds, words };

enum class import_fate : std::uint8_t {
  carried,     ///< a key of ours does the same; `remark`, if any, says how it differs
  not_needed,  ///< the lodge does it by itself
  no_match,    ///< there is nothing like it
};

struct pgbouncer_setting {
  pgbouncer_section section = pgbouncer_section::pgbouncer;
  std::string_view name;
  pgbouncer_kind kind = pgbouncer_kind::text;
  std::string_view fallback;  ///< PgBouncer's value without it, where that is carried over; or empty
  import_fate fate = import_fate::carried;
  std::string_view remark;  ///< why, or what to write instead
  std::string_view words;   ///< all that may be written, separated by " | "; with kind words
};

/// By section, then in alphabetical order.
std::span<const pgbouncer_setting> all_pgbouncer_settings();

/// Null if PgBouncer has none of that name there.
const pgbouncer_setting* find_pgbouncer_setting(pgbouncer_section section, std::string_view name);

/// "[databases]" without its brackets, and back.
std::optional<pgbouncer_section> pgbouncer_section_of(std::string_view name);

/// The one of the row's words that is written here, in whatever case; nothing if none is.
std::optional<std::string_view> known_word(const pgbouncer_setting& row, std::string_view value);

/// Why PgBouncer would not take this value, in words that do not repeat it; nothing if it would.
std::optional<std::string> value_problem(const pgbouncer_setting& row, std::string_view value);

/// "12", "0", "-1"; nothing for what is no number of 31 bits.
std::optional<std::int32_t> pgbouncer_integer(std::string_view value);

/// "1.5" is 1500 ms; -1 is given as it is, what is longer than a year as a year. Nothing for what is no number.
std::optional<std::chrono::milliseconds> pgbouncer_seconds(std::string_view value);

/// What the command says of a setting that is in the file; empty if it is carried over as it is.
std::string fate_in_words(const pgbouncer_setting& row);

}  // namespace conf
