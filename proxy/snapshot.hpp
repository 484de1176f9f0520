// One configuration, whole and immutable: what was read in one go and passed every check.
//
// It is built away from the event loops, posted to the workers and replaced by the next one. Sessions keep the
// route they were placed by, never the snapshot: the last owner of a table of 100,000 tenants pays tens of
// milliseconds for its destruction, which must not be a thread that serves clients (see `reloader`).
#pragma once

#include <cstdint>
#include <memory>

#include "conf/daemon_file.hpp"
#include "proxy/credentials.hpp"
#include "routing/overrides.hpp"
#include "routing/route_table.hpp"

namespace proxy {

struct snapshot {
  std::uint64_t version = 0;  ///< counts from 1 with each accepted load
  std::shared_ptr<const conf::daemon_settings> settings;
  std::shared_ptr<const routing::route_table> routes;
  std::shared_ptr<const credentials> secrets;  ///< what the two name: certificates, keys, passwords
  routing::overrides_ptr overrides = std::make_shared<const routing::overrides>();  ///< the console's; never null
};

using snapshot_ptr = std::shared_ptr<const snapshot>;

}  // namespace proxy
