// What a new table changes, in words for the log.
#pragma once

#include <string>
#include <vector>

#include "routing/route_table.hpp"

namespace routing {

/// Phrases such as "2 tenants added (initech, umbrella)", "1 tenant removed (hooli)", "acme: database shared -> acme",
/// "server main: hosts changed", "hints changed". Tenants are named, at most ten of a kind: then "(... and 90 more)",
/// or "and 90 more tenants changed". Empty if nothing changed.
std::vector<std::string> diff(const route_table& was, const route_table& now);

}  // namespace routing
