// What an administrator has laid over the table at the console: states of tenants, places that are paused or closed,
// how much is logged of a tenant. It is not in the files, so a reload does not take it away; whoever laid it there
// takes it back.
//
// A name that the table does not know (any more) has no effect, and is kept: the table may know it again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "routing/route.hpp"

namespace routing {

struct overrides {
  struct of_tenant {
    tenant_state state = tenant_state::active;
    std::string message;  ///< of a suspended one
    friend bool operator==(const of_tenant&, const of_tenant&) = default;
  };
  struct of_place {
    bool paused = false;    ///< its sessions wait before their next transaction
    bool disabled = false;  ///< it takes no new sessions
    friend bool operator==(const of_place&, const of_place&) = default;
  };
  std::map<std::string, of_tenant, std::less<>> tenants;
  std::map<std::string, of_place, std::less<>> places;
  std::map<std::string, std::string, std::less<>> log_levels;  ///< by tenant; words of log.level
  bool everything_paused = false;

  [[nodiscard]] bool is_paused(std::string_view place) const;
  [[nodiscard]] bool is_disabled(std::string_view place) const;
  /// The tenant's override in a word; empty: none.
  [[nodiscard]] std::string_view of(std::string_view tenant) const;
  /// How much is logged of the tenant's sessions; empty: as much as of others.
  [[nodiscard]] std::string_view log_level_of(std::string_view tenant) const;
  /// Changes a route's state and message to what holds.
  void apply(route& where) const;

  /// The state is wanted for a tenant whose route, without overrides, is `where`. Nothing is laid over it if that says
  /// so already.
  void want(const route& where, tenant_state state, std::string message = {});
};

using overrides_ptr = std::shared_ptr<const overrides>;

}  // namespace routing
