// The routing table: immutable once built, safe to read from any thread.
//
// A lookup is one hash of the id and, failing that, the patterns, longest first. What a tenant's entry says is kept
// as it was written, sharing equal parts; the route is resolved when a session asks.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/refusal.hpp"
#include "routing/route.hpp"
#include "routing/template.hpp"
#include "routing/tenant_hint.hpp"

namespace routing {

/// A place tenants can live.
struct database {
  std::string name;
  std::shared_ptr<const routing::server> server;
  std::optional<name_template> dbname;  ///< {tenant} allowed; nothing: the client's own
  std::optional<pool_mode> mode;
  std::optional<std::uint32_t> pool_size;
};

/// What an entry of `tenants`, or `defaults`, or no_tenant's `route`, says. Nothing given: taken from `defaults`.
/// The outer optional is "said at all", an inner nullopt/empty is "said: none" (`schema: null`).
struct rule {
  std::shared_ptr<const routing::database> database;
  std::optional<std::optional<name_template>> schema;
  std::optional<std::vector<name_template>> search_path;
  std::optional<std::optional<name_template>> role;
  std::optional<std::vector<std::pair<std::string, name_template>>> settings;  ///< merged with the defaults', key by key
  std::optional<std::vector<std::string>> users;
  std::optional<bool> guard;
  std::optional<pool_mode> pool;
  std::optional<tenant_state> state;
  std::optional<std::string> message;
  routing::limits limits;  ///< merged with the defaults', key by key
};

enum class unknown_tenants : std::uint8_t { reject, use_defaults };
enum class no_tenant_action : std::uint8_t { reject, wait, route };

/// Everything a table is made of, checked by whoever fills it (conf/).
struct table_parts {
  std::vector<hint> hints;
  std::map<std::string, std::shared_ptr<const server>> servers;
  std::map<std::string, std::shared_ptr<const database>> databases;
  rule defaults;
  std::vector<std::pair<std::string, rule>> tenants;  ///< ids, and patterns with '*'
  unknown_tenants unknown = unknown_tenants::reject;
  no_tenant_action no_tenant = no_tenant_action::reject;
  rule no_tenant_route;
};

class route_table {
 public:
  explicit route_table(table_parts parts);
  ~route_table();

  [[nodiscard]] const std::vector<hint>& hints() const;
  [[nodiscard]] std::size_t tenant_count() const;   ///< exact ids
  [[nodiscard]] std::size_t pattern_count() const;
  [[nodiscard]] std::size_t server_count() const;
  [[nodiscard]] std::size_t database_count() const;

  /// The entry that decides for this id: its own, else the longest pattern's, else (by `unknown_tenants: default`)
  /// `defaults`; null if the table does not know the tenant. The bare lookup: nothing is built or copied.
  [[nodiscard]] const rule* find(std::string_view tenant) const;

  /// The route of an identity, whatever its state. Refusals: 3D000 (no such tenant), 28000 (no tenant named and
  /// none allowed), 0A000 (`no_tenant: wait`, not yet in force).
  [[nodiscard]] std::expected<route, refusal> resolve(const identity& who) const;

 private:
  friend std::vector<std::string> diff(const route_table& was, const route_table& now);
  struct contents;
  std::unique_ptr<const contents> contents_;
};

}  // namespace routing
