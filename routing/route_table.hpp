// The routing table: immutable once built, safe to read from any thread.
//
// A lookup is one hash of the id and, failing that, the patterns, longest first. What a tenant's entry says is kept
// as it was written, sharing equal parts; the route is resolved when a session asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "routing/refusal.hpp"
#include "routing/route.hpp"
#include "routing/session_hints.hpp"
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
  bool refuses_pins = false;
  bool shares_within_tenant = false;
  prepare_mode prepare = prepare_mode::repeated;
  shared_limits_ptr limits;  ///< of all its sessions together, whatever the tenant; null: none
};

/// What an entry of `tenants`, or `defaults`, or no_tenant's `route`, says. Nothing given: a tenant's is taken from
/// `defaults`; no_tenant's route stands by itself, since the defaults speak of {tenant}.
/// The outer optional is "said at all", an inner nullopt/empty is "said: none" (`schema: null`).
struct rule {
  std::shared_ptr<const routing::database> database;
  std::optional<std::optional<name_template>> schema;
  std::optional<std::vector<name_template>> search_path;
  std::optional<std::optional<name_template>> role;
  std::optional<std::vector<std::pair<std::string, name_template>>>
      settings;  ///< merged with the defaults', key by key
  std::optional<std::vector<std::string>> users;
  std::optional<bool> guard;
  std::optional<pool_mode> pool;
  std::optional<tenant_state> state;
  std::optional<std::string> message;
  routing::limits limits;  ///< merged with the defaults', key by key

  /// Databases are compared by name, so that rules of two tables can be.
  friend bool operator==(const rule& a, const rule& b);
};

enum class unknown_tenants : std::uint8_t { reject, use_defaults };
enum class no_tenant_action : std::uint8_t { reject, wait, route };

/// Everything a table is made of, checked by whoever fills it (conf/).
struct table_parts {
  std::vector<hint> hints;
  std::map<std::string, std::shared_ptr<const server>> servers;
  std::map<std::string, std::shared_ptr<const database>> databases;
  std::map<std::string, shared_limits_ptr> roles;  ///< those that have limits
  rule defaults;
  std::vector<std::pair<std::string, rule>> tenants;  ///< ids, and patterns with '*'
  unknown_tenants unknown = unknown_tenants::reject;
  no_tenant_action no_tenant = no_tenant_action::reject;
  rule no_tenant_route;
};

class route_table {
 public:
  /// Ids may be looked up by views.
  struct id_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view id) const { return std::hash<std::string_view>{}(id); }
  };
  using rules_by_id = std::unordered_map<std::string, const rule*, id_hash, std::equal_to<>>;

  explicit route_table(table_parts parts);
  route_table(const route_table&) = delete;
  route_table& operator=(const route_table&) = delete;

  /// Everything but the tenants, as it was given.
  [[nodiscard]] const table_parts& parts() const { return parts_; }
  [[nodiscard]] const std::vector<hint>& hints() const { return parts_.hints; }
  /// Those that a session gives while it runs. They may outlive the table.
  [[nodiscard]] const std::shared_ptr<const session_hints>& later_hints() const { return later_hints_; }
  /// Who names no tenant is to name one before anything else.
  [[nodiscard]] bool waits() const { return parts_.no_tenant == no_tenant_action::wait; }
  /// Exact ids.
  [[nodiscard]] const rules_by_id& tenants() const { return tenants_; }
  /// Longest first; of equally long ones the alphabetically first.
  [[nodiscard]] const std::vector<std::pair<std::string, const rule*>>& patterns() const { return patterns_; }

  /// The entry that decides for an id, and its name: an exact id, a pattern, or "" for `defaults`.
  struct decision {
    const rule* says = nullptr;
    std::string_view entry;
  };
  /// The id's own entry, else the longest pattern's, else (by `unknown_tenants: default`) `defaults`; nothing if the
  /// table does not know the tenant. The bare lookup: nothing is built or copied.
  [[nodiscard]] std::optional<decision> find(std::string_view tenant) const;

  /// The route of an identity, whatever its state. Refusals: 3D000 (no such tenant, or an id that makes a name of
  /// more than 63 bytes), 28000 (no tenant named and
  /// none allowed).
  [[nodiscard]] std::expected<route, refusal> resolve(const identity& who) const;
  /// A place that tenants share, and are to be kept apart in by the guard alone; null if there is none. O(tenants).
  [[nodiscard]] const database* guarded_place() const;

 private:
  void count(const std::shared_ptr<const database>& place, std::size_t entries);
  [[nodiscard]] bool is_shared(const database& place) const;
  [[nodiscard]] route build(const rule& says, const rule& defaults, const identity& who) const;

  table_parts parts_;
  std::shared_ptr<const session_hints> later_hints_;
  std::deque<rule> rules_;  ///< each different one once: most tenants say the same
  rules_by_id tenants_;
  std::vector<std::pair<std::string, const rule*>> patterns_;
  // How many entries of the table lead to a server's database, and to the server.
  std::map<std::pair<const server*, std::string>, std::size_t> residents_;
  std::map<const server*, std::size_t> residents_of_server_;
};

}  // namespace routing
