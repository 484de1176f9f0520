// What a route means for a server session: search_path, role and settings, as the values PostgreSQL reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "routing/route.hpp"

namespace routing {

/// An SQL identifier in double quotes, inner ones doubled (PostgreSQL docs, 4.1.1).
std::string quote_identifier(std::string_view name);

/// The value of search_path: each schema quoted, separated by ", ".
std::string search_path_value(const std::vector<std::string>& schemas);

/// The settings a server session starts with and RESET comes back to: search_path, role, then the route's own.
/// Names as PostgreSQL spells them.
setting_list session_defaults(const route& where);

}  // namespace routing
