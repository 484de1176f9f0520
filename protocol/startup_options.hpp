// The `options` startup parameter, cut as the server cuts it (pg_split_opts, then getopt in
// process_postgres_switches): blanks separate, a backslash keeps the next character, `-c name=value`,
// `-cname=value` and `--name=value` set.
//
// Equal to the server's reading, or a client could hide a setting from us that the server then sees.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/startup.hpp"

namespace pgwire {

struct startup_options {
  parameter_list settings;         ///< in order; in names of either form '-' has become '_'
  std::vector<std::string> other;  ///< remaining switches, each argument as the server would see it, in order
  friend bool operator==(const startup_options&, const startup_options&) = default;
};

/// Error: bad_options (a setting without '=' or without a name).
result<startup_options> parse_options(std::string_view text);

/// The text that parses to the same again.
std::string encode_options(const startup_options& options);

/// A setting's name as the server finds it: ASCII lower case, the renamed ones (sort_mem, vacuum_mem) by
/// their new name.
std::string canonical_setting_name(std::string_view name);

}  // namespace pgwire
