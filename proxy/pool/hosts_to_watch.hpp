// Which hosts `host_watch` is to ask, and how: by a configuration.
#pragma once

#include <string>
#include <vector>

#include "proxy/pool/host_watch.hpp"
#include "proxy/snapshot.hpp"

namespace proxy {

/// Where to log in for nothing but to see whether the server is there: a database of its with a name of its own.
std::string database_to_look_at(const routing::route_table& routes, const routing::server& server);

/// Those of servers that have several hosts, a user to log in by, a database to log in to, and an interval.
std::vector<watched_host> hosts_to_watch(const snapshot& by);

}  // namespace proxy
