// PgBouncer's configuration file: sections, settings and connection strings, as texts with their lines. Sans-I/O.
//
//   ; a comment, or # one; both only at a line's beginning
//   [databases]
//   crm = host=10.0.0.1 password='it''s' pool_size=20
//   %include other.ini
//
// Follows PgBouncer 1.25: a section goes on through an include and after it, and a value is the rest of its line. What
// PgBouncer would stop at is an error here.
//
// What must hold: no error says anything of a value, for it may be a password, or a part of one that lost its quotes.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace conf {

struct ini_entry {
  std::string file;
  std::uint32_t line = 1;  ///< from 1
  std::string section, key, value;
};

/// "file:line: what"
std::string at_entry(const ini_entry& entry, std::string_view what);

struct ini_reading {
  std::vector<ini_entry> entries;   ///< in the order in which PgBouncer comes by them
  std::vector<std::string> errors;  ///< "file:line: what"; bounded
};

/// Gives the text of an included file, by the name that stands in the file, or a reason why not.
using include_reader = std::function<std::expected<std::string, std::string>(const std::string& name)>;

/// `file` is the name for messages.
ini_reading read_pgbouncer_ini(std::string_view text, const std::string& file, const include_reader& include);

struct connection_parameter {
  std::string key, value;
};

/// "host=a password='b c'": pairs in their order; values are never empty. The error says where, and nothing of it.
std::expected<std::vector<connection_parameter>, std::string> parse_connection_string(std::string_view text);

}  // namespace conf
