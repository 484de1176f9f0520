// The lodge in Prometheus' words: from what was read of it to the text of /metrics. A pure function; who reads is
// `front_desk`.
//
// Names and units follow https://prometheus.io/docs/practices/naming/: base units, counters end in _total. How many
// series there are depends on the servers and their hosts, the workers and `admin.metrics_tenants`, never on how many
// tenants there are.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxy/desk/duration_histogram.hpp"
#include "proxy/desk/refused_sessions.hpp"
#include "proxy/desk/tenant_ranking.hpp"
#include "proxy/desk/usage_counts.hpp"
#include "proxy/pool/host_roles.hpp"

namespace proxy::desk {

struct server_reading {
  std::string name;
  std::optional<std::uint32_t> most;  ///< max_connections
  std::size_t active = 0;             ///< on loan to a client
  std::size_t opening = 0;
  std::size_t idle = 0;
  std::size_t waiting = 0;           ///< clients
  std::uint64_t login_failures = 0;  ///< of the lodge's own role
  bool in_reach = true;              ///< the last attempt to connect did not fail for want of a server
};

struct host_reading {
  std::string server;
  std::string name;  ///< with its port
  host_role role = host_role::unknown;
};

struct place_reading {
  std::string database;  ///< of the table
  bool paused = false;   ///< by the console
};

/// Whether the files on disk are what is in force.
struct reload_state {
  bool succeeded = true;                            ///< the last time
  std::chrono::system_clock::time_point loaded_at;  ///< of what is in force
  std::vector<std::string> errors;                  ///< of a reload that was refused
};

struct lodge_reading {
  std::string version;
  std::vector<std::size_t> sessions;  ///< of each worker
  std::vector<server_reading> servers;
  std::vector<host_reading> hosts;
  std::vector<place_reading> places;
  std::size_t tenants_configured = 0;  ///< exact ids in the table
  std::uint64_t config_version = 0;
  reload_state reload;
  std::vector<refusal_count> refused;
  usage_counts total;                 ///< of all tenants, since the start
  std::vector<tenant_usage> tenants;  ///< as `tenant_ranking` gives them
  duration_histogram::reading queries, leases, waits;
};

/// Prometheus' text format, version 0.0.4.
std::string metrics_text(const lodge_reading& now);

}  // namespace proxy::desk
