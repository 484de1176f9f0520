// Who may do what on the virtual database pglodge. By the settings in force, which may change under an open session:
// to be asked before each command.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "conf/daemon_file.hpp"
#include "protocol/error_response.hpp"
#include "proxy/console/command.hpp"

namespace proxy::console {

/// The name by which clients ask for the console.
inline constexpr std::string_view database_name = "pglodge";

enum class privilege : std::uint8_t {
  everything,  ///< of admin.users
  looking,     ///< of admin.stats_users
};

/// Nothing: the user has no business there.
std::optional<privilege> privilege_of(const conf::admin_settings& admin, const std::string& user);

/// The error for a command that changes something, by who may only look: 42501. Nothing: it may be carried out.
std::optional<pgwire::error_report> why_not(privilege may, const std::string& user, const command& asked);

/// The error for whom `privilege_of` gives nothing: 28000.
pgwire::error_report no_business(const std::string& user);

/// The error for whom only a server could tell apart from others: 28000.
pgwire::error_report nobody_to_ask();

}  // namespace proxy::console
