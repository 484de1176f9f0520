// A console command as a value, and how it is read from a client's text.
//
//   SHOW thing ['argument'] [LIKE 'pattern'] [ORDER BY column [ASC | DESC]] [LIMIT n]
//   SET setting = value [FOR TENANT 'tenant']
//
// and the others, see CONSOLE.md. Where a word stands for a name, a literal, a quoted name or, in a prepared statement,
// a parameter may stand as well. What drivers and psql send of themselves is understood, too, and answered without the
// lodge being asked (`small_talk`).
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error_response.hpp"
#include "proxy/console/lexer.hpp"
#include "proxy/console/table.hpp"

namespace proxy::console {

enum class verb : std::uint8_t {
  talk,  ///< nothing to be done: the answer is in the command
  show,
  reload,
  shutdown,
  pause,
  resume,
  disable,
  enable,
  reconnect,
  wait_close,
  kill,
  kill_client,
  kill_tenant,
  hold,
  release,
  suspend,
  activate,
  set,
  reset,
};

/// What can be shown.
enum class thing : std::uint8_t {
  help,
  version,
  config,
  state,
  lists,
  mem,
  databases,
  pools,
  clients,
  servers,
  sockets,
  users,
  hosts,
  stats,
  stats_totals,
  stats_averages,
  totals,
  tenants,
  tenant,
  routes,
  route,
  pins,
  usage,
  events,
};

/// What a statement of small talk does to the transaction that a client believes in.
enum class talk_effect : std::uint8_t { none, begins, ends, discards };

struct command {
  verb what = verb::talk;
  thing shown = thing::help;     ///< of SHOW
  std::string subject;           ///< a database, a tenant, a client's number, a URL, a setting; empty: all, or none
  std::string value;             ///< SET: the value, empty is DEFAULT; SUSPEND: the message; SHUTDOWN: the mode
  std::string tenant;            ///< SET, RESET: for this one only; empty: for all
  refinement how;                ///< of SHOW
  std::string tag;               ///< what it is called when it is done
  std::optional<columns> heads;  ///< talk that gives rows: these
  std::vector<row> rows;
  talk_effect effect = talk_effect::none;
};

/// The values of a prepared statement's parameters; null is nothing.
using parameter_values = std::span<const std::optional<std::string_view>>;

struct parsed {
  std::vector<command> commands;
  std::size_t parameters = 0;  ///< the greatest $n
};
/// All statements of a text. Without values it is only looked at: parameters stand for whatever fits. `user` is who
/// asks, for small talk. Error: 42601, 22023 (a value that does not fit), 0A000 (SQL), 42P02 (no such parameter),
/// with a hint at the nearest word where there is one.
std::expected<parsed, pgwire::error_report> parse(std::string_view text, std::string_view user,
                                                  const parameter_values* values = nullptr);

/// "TENANTS", "KILL_CLIENT". Names as they are written in commands.
std::string_view name_of(thing what);
std::string_view name_of(verb what);
inline constexpr std::size_t thing_count = static_cast<std::size_t>(thing::events) + 1;

/// Whether a stats user may: it changes nothing.
inline bool only_looks(const command& one) { return one.what == verb::show || one.what == verb::talk; }

/// The error for an attempt at SQL.
pgwire::error_report not_a_database();

/// A statement that a driver or psql sends of itself; nothing if it is something else. `text`: of the statement.
std::optional<std::expected<command, pgwire::error_report>> small_talk(const statement_tokens& tokens,
                                                                       std::string_view text, std::string_view user);

/// What the console reports of itself in its greeting, and by SHOW: server_version and the like, by name.
using reported_setting = std::pair<std::string_view, std::string_view>;
std::span<const reported_setting> reported_settings();

}  // namespace proxy::console
