// Where the daemon's log goes and what it looks like: standard error, as text for people or JSON for machines.
#pragma once

#include <string>
#include <string_view>

namespace proxy::desk {

enum class log_format { text, json };

/// Sets spdlog's default logger. `level` is one of trace, debug, info, warn, error. Safe to call again on reload.
void configure_log(std::string_view level, log_format format);

/// `text` as the inside of a JSON string (RFC 8259, section 7). Bytes that are not UTF-8 become U+FFFD.
void append_json_escaped(std::string_view text, std::string& out);

}  // namespace proxy::desk
