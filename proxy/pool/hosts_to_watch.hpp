// Which hosts `host_watch` is to ask, and how: by a configuration.
#pragma once

#include <vector>

#include "proxy/pool/host_watch.hpp"
#include "proxy/snapshot.hpp"

namespace proxy {

/// Those of servers that have several hosts, a user to log in by, a database to log in to, and an interval.
std::vector<watched_host> hosts_to_watch(const snapshot& by);

}  // namespace proxy
