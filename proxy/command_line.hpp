// The words of the command line, and nothing of what they do.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <string>

#include "proxy/desk/usage_report.hpp"

namespace proxy {

enum class command {
  serve,             ///< run in the foreground
  check,             ///< validate both files
  route,             ///< explain where a URL or tenant goes
  usage,             ///< sum the usage ledger
  top,               ///< show what tenants do now
  import_pgbouncer,  ///< make both files from PgBouncer's
};

/// Of `usage`, as they were written.
struct usage_arguments {
  std::string from, to;
  std::optional<std::string> tenant;
  desk::usage_format format = desk::usage_format::table;
};

/// Of `top`, as they were written.
struct top_arguments {
  std::string url;  ///< of the console; empty: by the daemon's file
  std::string interval = "2s";
  std::string sort = "busy";
  bool once = false, all = false;
};

struct command_line {
  command what = command::serve;
  std::filesystem::path config = "/etc/pglodge/pglodge.yaml";
  std::string subject;                          ///< for `route`: a postgres:// URL or a tenant id
  std::filesystem::path ini;                    ///< for `import-pgbouncer`: PgBouncer's file
  std::optional<std::filesystem::path> folder;  ///< likewise: where to write; nothing is standard output
  usage_arguments usage;
  top_arguments top;
};

/// Exit codes of the program.
inline constexpr int exit_done = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;

/// Reads the arguments. The unexpected value is the exit code to end with, everything having been said: 0 after
/// --help and --version, 2 for bad usage.
std::expected<command_line, int> parse_command_line(int argc, const char* const* argv);

}  // namespace proxy
