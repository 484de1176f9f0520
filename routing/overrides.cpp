#include "routing/overrides.hpp"

#include <utility>

namespace routing {

bool overrides::is_paused(std::string_view place) const {
  const auto found = places.find(place);
  return everything_paused || (found != places.end() && found->second.paused);
}

bool overrides::is_disabled(std::string_view place) const {
  const auto found = places.find(place);
  return found != places.end() && found->second.disabled;
}

std::string_view overrides::of(std::string_view tenant) const {
  const auto found = tenants.find(tenant);
  return found == tenants.end() ? "" : to_string(found->second.state);
}

std::string_view overrides::log_level_of(std::string_view tenant) const {
  const auto found = log_levels.find(tenant);
  return found == log_levels.end() ? std::string_view() : std::string_view(found->second);
}

void overrides::apply(route& where) const {
  if (const auto found = tenants.find(where.tenant.str()); found != tenants.end() && !where.tenant.empty()) {
    where.state = found->second.state;
    where.message = found->second.message;
  }
  const bool open = where.state == tenant_state::active || where.state == tenant_state::read_only;
  // Who has yet to name its tenant is there for its greeting only.
  if (open && !where.waits && is_paused(where.database)) {
    where.state = tenant_state::held;
    where.paused = true;
  }
}

void overrides::want(const route& where, tenant_state state, std::string message) {
  const bool open = where.state == tenant_state::active || where.state == tenant_state::read_only;
  const bool as_it_is = state == tenant_state::active ? open : state == where.state && message == where.message;
  if (as_it_is) {
    tenants.erase(where.tenant.str());
  } else {
    tenants[where.tenant.str()] = {state, std::move(message)};
  }
}

}  // namespace routing
