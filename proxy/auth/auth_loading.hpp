// From the configuration to the source of its secrets: reads the users file and finds out how `auth.query` is asked.
// For the thread that loads configurations; connects to nobody.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "proxy/auth/auth_source.hpp"
#include "routing/route_table.hpp"

namespace proxy {

struct loaded_auth_source {
  std::shared_ptr<auth_source> source;        ///< null if there was any error
  std::vector<std::string> errors, warnings;  ///< lines for people, with the key or the file
  std::vector<std::filesystem::path> files;   ///< what was read, or should have been
};

/// `password_of_server`: of the password_file of the server that auth.query asks; null if it has none. Does not throw
/// for anything that can be wrong with the files.
loaded_auth_source load_auth_source(auth_tools& tools, const conf::auth_settings& auth,
                                    const conf::timeout_settings& timeouts, const routing::route_table& routes,
                                    const pgwire::secret_string* password_of_server);

/// The server that auth.query asks; null if there is no query, or no such database.
const routing::server* asked_server(const conf::auth_settings& auth, const routing::route_table& routes);

/// How it is asked. The error is a line for people.
std::expected<role_query_settings, std::string> query_settings(const conf::auth_query& query,
                                                               const conf::timeout_settings& timeouts,
                                                               const routing::route_table& routes,
                                                               const user_table* users,
                                                               const pgwire::secret_string* password_of_server);

}  // namespace proxy
