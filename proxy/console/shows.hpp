// The tables of SHOW, from facts that were gathered before. Pure but for what is asked of the pools row by row.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/console/command.hpp"
#include "proxy/console/house.hpp"
#include "proxy/console/table.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/server_memory.hpp"

namespace proxy::console {

using pool_list = std::vector<std::shared_ptr<server_pool>>;
using client_list = std::vector<client_facts>;

// In show_sessions.cpp.
table show_clients(const client_list& clients);
table show_servers(const client_list& clients, const pool_list& pools);
table show_sockets(const client_list& clients, const pool_list& pools);
table show_pins(const client_list& clients);
table show_users(const snapshot& now, const client_list& clients, const pool_list& pools);

// In show_places.cpp.
table show_databases(const snapshot& now, const client_list& clients, const pool_list& pools);
table show_pools(const client_list& clients, const pool_list& pools);
table show_hosts(const snapshot& now, const server_memory& memory);
table show_lists(const snapshot& now, const client_list& clients, const pool_list& pools);

// In show_tenants.cpp. Rows are made from the snapshot, which the table keeps.
table show_tenants(const snapshot_ptr& now, const client_list& clients, const pool_list& pools, house& at_home);
table show_routes(const snapshot_ptr& now);
/// Error: 3D000.
std::expected<table, pgwire::error_report> show_tenant(const snapshot_ptr& now, const std::string& tenant,
                                                       const client_list& clients, const pool_list& pools,
                                                       house& at_home);
/// 3D000, with a hint at the nearest.
pgwire::error_report no_such_tenant(const snapshot& now, const std::string& tenant);
/// Error: 22023, neither a URL nor a tenant's id.
std::expected<table, pgwire::error_report> show_route(const snapshot& now, const std::string& subject);

// In show_settings.cpp.
table show_help();
table show_version(const status_facts& status);
table show_config(const snapshot& now, const status_facts& status);
table show_state(const snapshot& now, const status_facts& status);
table show_mem(const snapshot& now, const client_list& clients, const pool_list& pools);
table show_events(const std::vector<event>& events);

// In show_counts.cpp.
using usage_list = std::vector<std::pair<std::string, desk::usage_counts>>;
/// `period`: what the averages are taken over.
table show_stats(thing what, const snapshot& now, const usage_list& usage, const desk::stats_period::reading& period);
table show_usage(const usage_list& usage);

/// "2026-01-31 23:59:59 UTC"
std::string time_text(std::chrono::system_clock::time_point when);
std::string time_text(clock::time_point when);

/// The parts of an address; port 0 for what has none, whose host is "unix".
std::pair<std::string, std::uint16_t> parts_of(const endpoint& address);

}  // namespace proxy::console
