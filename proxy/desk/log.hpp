// Where the daemon's log goes and what it looks like: standard error, as text for people or JSON for machines.
//
// Where standard error is the journal (systemd sets JOURNAL_STREAM, systemd.exec(5)), each line begins with its
// priority as sd-daemon(3) has it, and has no time and no level in words, which the journal keeps itself.
//
// Nobody waits for who reads it: what standard error does not take is lost, counted, and told of when it takes again.
//
// Lines with a place in the code (log_line.hpp) are bounded: see log_repeats.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace proxy::desk {

enum class log_format { text, json };

/// Sets spdlog's default logger. `level` is one of trace, debug, info, warn, error. Safe to call again on reload.
void configure_log(std::string_view level, log_format format);

/// To be called about once a second, since lines that were held back are told of when their time has come.
void tell_repeats();
/// At the end, of all of them.
void tell_last_repeats();

/// Whether a variable such as JOURNAL_STREAM, "device:inode", names the file of this descriptor. Null: it is not set.
bool is_journal(const char* variable, int descriptor);

/// A line as it goes to standard error, its newline included. `weight`: spdlog's level. `now`: since 1970.
struct log_line_text {
  int weight = 0;
  std::string_view text;
  std::chrono::system_clock::time_point when;
};
std::string format_line(const log_line_text& line, log_format format, bool to_journal);

/// `text` as the inside of a JSON string (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
void append_json_escaped(std::string_view text, std::string& out);

}  // namespace proxy::desk
