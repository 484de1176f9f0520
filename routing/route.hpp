// Where one tenant lives and what it may use: a value, complete in itself. A session keeps the route it was placed
// by, so a route owns or shares everything it names.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "routing/ids.hpp"
#include "routing/limits.hpp"

namespace routing {

using setting_list = std::vector<std::pair<std::string, std::string>>;  ///< name, value; in the order they were written

/// An address a server listens on: a host name, an IP address, or a folder with a Unix socket (begins with '/').
struct host {
  std::string address;
  std::uint16_t port = 5432;
  friend bool operator==(const host&, const host&) = default;
};
/// "pg1:5432", "[::1]:5432", "/run/postgresql:5432".
std::string to_string(const host& where);

enum class tls_mode : std::uint8_t { disable, prefer, require, verify_ca, verify_full };

/// A PostgreSQL server: the hosts of one primary and its replicas.
struct server {
  std::string name;
  std::vector<host> hosts;
  std::vector<host> replicas;
  tls_mode tls = tls_mode::disable;
  std::string tls_ca, tls_certificate, tls_key;  ///< paths; may be empty
  std::string user;                              ///< empty: the client's own role logs in
  std::string password_file;
  std::optional<std::uint32_t> max_connections;
  std::chrono::milliseconds health_check{2000};  ///< how often the hosts are asked who is the primary; 0: never
  friend bool operator==(const server&, const server&) = default;
};

enum class pool_mode : std::uint8_t { transaction, session };
/// What is done for the statements that clients prepare by the protocol on shared connections.
enum class prepare_mode : std::uint8_t {
  repeated,  ///< they stay prepared for the next, and unnamed ones that keep coming are prepared, too
  named,     ///< only those that have a name
  off,       ///< they are closed with the transaction
};
enum class tenant_state : std::uint8_t { active, read_only, held, suspended };
std::string_view to_string(pool_mode mode);
std::string_view to_string(tenant_state state);

struct route {
  tenant_id tenant;      ///< empty for the route of `no_tenant`
  bool named = false;    ///< the table has an entry of exactly this id
  std::string database;  ///< the place's name in the table
  std::shared_ptr<const routing::server> server;
  std::string dbname;                    ///< empty: the client's own
  std::vector<std::string> search_path;  ///< empty: the server's own default
  std::string role;                      ///< empty: none
  setting_list settings;                 ///< those of `state: read_only` included
  std::vector<std::string> users;        ///< who may enter; empty: everybody
  bool guard = false;
  bool waits = false;  ///< the session has named no tenant yet, and must: the place is for its greeting
  pool_mode pool = pool_mode::transaction;
  std::optional<std::uint32_t> pool_size;  ///< server connections of the place at a time
  bool refuses_pins = false;               ///< nobody may keep a connection beyond a transaction
  bool shares_within_tenant = false;       ///< nobody gets a connection that another tenant had
  prepare_mode prepare = prepare_mode::repeated;
  tenant_state state = tenant_state::active;
  bool paused = false;  ///< held because its place is, at the console
  std::string message;  ///< of a suspended tenant
  routing::limits limits;
  shared_limits_list shared;  ///< limits of the session's role, and of its database
  std::string rule;  ///< which entry of the table decided: "tenants.acme", "tenants.trial-*", "defaults", "no_tenant"

  [[nodiscard]] limits_in_force in_force() const { return {limits, shared}; }
  /// Servers, and limits that are shared, by identity: a table has one of each.
  friend bool operator==(const route&, const route&) = default;
};

/// Whether a session placed by `was` would be placed elsewhere, or differently dressed, by `now`: server, hosts,
/// dbname, search_path, role, settings.
bool place_changed(const route& was, const route& now);

}  // namespace routing
