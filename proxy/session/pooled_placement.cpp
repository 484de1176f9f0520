// Where a pooled session lives: by the table, and by what it says itself.
#include <utility>

#include "protocol/sqlstate.hpp"
#include "proxy/session/pooled_session.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

// The table may place the session elsewhere by now: at its next transaction it goes there.
std::optional<ending> pooled_session::follow_table() {
  if (table_version_ == home_.current()->version) return std::nullopt;
  const std::uint64_t version = home_.current()->version;
  auto found = around_.look_up(who());
  if (!found) return std::move(found.error());
  const bool other_terms =
      where().guard != found->guard || where().refuses_pins != found->refuses_pins || where().prepare != found->prepare;
  const bool elsewhere = other_terms || routing::place_changed(where(), *found);
  auto next = place_of(who(), std::move(*found));
  if (auto unfit = why_unfit(*next)) return unfit;
  table_version_ = version;
  go(std::move(next));
  if (elsewhere) traffic_.set_terms(place_->terms);
  listen_to_table();
  return std::nullopt;
}

void pooled_session::listen_to_table() {
  const routing::route_table& table = *home_.current()->routes;
  traffic_.listen_to(table.later_hints(), table.waits());
}

pooled_place_ptr pooled_session::place_of(routing::identity as, routing::route to) const {
  return home_.places().of({std::move(as), place_->startup, std::move(to)});
}

// What its client began with, and what a RESET comes back to, may be against the guard there.
std::optional<ending> pooled_session::why_unfit(const pooled_place& place) {
  for (const auto& [name, value] : place.terms->start->own()) {
    auto refused = place.terms->guard.refuses(name, {value});
    if (!refused) continue;
    ending made = ending::fatal({}, {});
    made.report = std::move(*refused);
    return made.as_fatal();
  }
  return std::nullopt;
}

void pooled_session::go(pooled_place_ptr to) {
  place_ = std::move(to);
  pool_ = home_.shared().pools.of(where().server);
  meter_.share(where().shared);
  watch_statements();
}

// Whatever its place, it has the limits of the table in force.
void pooled_session::obey(const routing::route& now) {
  if (now.limits == where().limits && now.shared == where().shared) return;
  place_ = home_.places().with_limits_of(now, *place_);
  meter_.share(where().shared);
}

// Whoever comes to a place from another, or had none yet, is a new session there.
bool pooled_session::is_shut(const routing::route& next) const {
  const bool comes = where().waits || next.database != where().database;
  return comes && !next.waits && home_.current()->overrides->is_disabled(next.database);
}

// The client's statement names another tenant, and is to run there.
std::optional<ending> pooled_session::go_to(const routing::tenant_id& tenant) {
  routing::identity next = who();
  next.tenant = tenant;
  auto found = around_.look_up_next(next);
  pooled_place_ptr place;
  std::optional<ending> refused;
  if (!found) {
    refused = std::move(found.error());
  } else if (found->pool == routing::pool_mode::session) {
    refused = ending::fatal(sqlstate::feature_not_supported,
                            "tenant \"" + tenant.str() + "\" has server connections of its clients' own", {},
                            "Name it when the session begins, by another hint; or give it pool: transaction.");
  } else if (is_shut(*found)) {
    refused = ending::disabled(found->database);
  } else {
    place = place_of(std::move(next), *found);
    refused = why_unfit(*place);
  }
  if (refused) return refused;
  settle_account();
  if (const auto entered = meter_.enter(*found); !entered) return ending::too_many_clients(*found, entered.error());
  // What was pinned belonged to the other tenant.
  drop_connection();
  go(std::move(place));
  traffic_.go_along(place_->terms);
  desk::say_of(around_.log_level(), spdlog::level::debug, "{}: by its own word, to {}/{}", around_.name(),
               where().server->name, where().database);
  return std::nullopt;
}

// The statement that named a tenant has ended, and leaves the session another's than it ran for.
void pooled_session::become_due() {
  const routing::tenant_id* tenant = traffic_.due();
  if (tenant == nullptr) return;
  drop_connection();
  routing::identity next = who();
  next.tenant = *tenant;
  auto found = around_.look_up_next(next);
  if (!found) return leave_now(std::move(found.error()));
  if (is_shut(*found)) return leave_now(ending::disabled(found->database));
  auto place = place_of(std::move(next), *found);
  if (auto unfit = why_unfit(*place)) return leave_now(std::move(*unfit));
  if (const auto entered = meter_.enter(*found); !entered) {
    return leave_now(ending::too_many_clients(*found, entered.error()));
  }
  go(std::move(place));
  traffic_.become_due(place_->terms);
}

// What is pinned cannot be taken elsewhere: if its place has changed, it ends when it is next idle.
void pooled_session::follow_when_pinned() {
  const std::uint64_t version = home_.current()->version;
  if (!connection_ || traffic_.pins().empty() || when_idle_ || std::exchange(pinned_version_, version) == version)
    return;
  const auto found = around_.look_up(who());
  if (!found) {
    leave_when_idle(found.error());
  } else if (routing::place_changed(where(), *found)) {
    leave_when_idle(ending::moved(where().tenant));
  }
}

}  // namespace proxy
