// The commands that lay something over the routing table, or take it back.
#include <algorithm>
#include <utility>

#include "conf/words.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/clerk.hpp"
#include "proxy/console/lexer.hpp"
#include "proxy/worker.hpp"

namespace proxy::console {

namespace sqlstate = pgwire::sqlstate;

namespace {

using routing::tenant_state;
using outcome = std::optional<pgwire::error_report>;

bool is_of_tenant(verb what) {
  return what == verb::hold || what == verb::release || what == verb::suspend || what == verb::activate;
}

// The tenant's route as the files have it, whether or not anybody may go there.
std::optional<routing::route> route_of(const routing::route_table& table, const std::string& tenant) {
  const auto id = routing::tenant_id::parse(tenant);
  if (!id) return std::nullopt;
  routing::identity who;
  who.tenant = *id;
  auto found = table.resolve(who);
  if (!found) return std::nullopt;
  return std::move(*found);
}

outcome change_tenant(const command& what, const routing::route_table& table, routing::overrides& over) {
  const auto written = route_of(table, what.subject);
  if (!written) {
    // What was laid over a tenant that has left can still be taken back.
    if (what.what != verb::hold && what.what != verb::suspend && over.tenants.erase(what.subject) > 0)
      return std::nullopt;
    return refusal(sqlstate::invalid_catalog_name, "no such tenant: " + conf::in_quotes(what.subject));
  }
  routing::route now = *written;
  routing::overrides only_tenants;
  only_tenants.tenants = over.tenants;
  only_tenants.apply(now);
  const auto refused = [&](const std::string& why) {
    return refusal(sqlstate::not_in_prerequisite_state, "tenant \"" + what.subject + "\" " + why,
                   "It is " + std::string(to_string(now.state)) +
                       (over.is_paused(now.database) ? "; its database is paused, which RESUME ends." : "."));
  };
  switch (what.what) {
    case verb::hold: over.want(*written, tenant_state::held); break;
    case verb::suspend:
      over.want(*written, tenant_state::suspended, what.value.empty() ? written->message : what.value);
      break;
    case verb::release:
      if (now.state != tenant_state::held) return refused("is not held");
      over.want(*written, tenant_state::active);
      break;
    default:
      if (now.state != tenant_state::held && now.state != tenant_state::suspended) {
        return refused("is neither held nor suspended");
      }
      over.want(*written, tenant_state::active);
  }
  return std::nullopt;
}

// Why there is nothing that RESUME could end. `place`: empty, all of them.
outcome cannot_resume(const std::string& place, const routing::overrides& over) {
  constexpr auto code = sqlstate::not_in_prerequisite_state;
  if (place.empty()) {
    const bool any =
        over.everything_paused || std::ranges::any_of(over.places, [](const auto& one) { return one.second.paused; });
    return any ? outcome() : refusal(code, "no database is paused", "SHOW DATABASES tells which are.");
  }
  if (over.everything_paused) return refusal(code, "every database is paused", "RESUME without a name ends that.");
  if (over.is_paused(place)) return std::nullopt;
  return refusal(code, "database \"" + place + "\" is not paused", "SHOW DATABASES tells which are.");
}

outcome change_place(const command& what, routing::overrides& over) {
  const bool all = what.subject.empty();
  if (what.what == verb::resume) {
    if (auto why = cannot_resume(what.subject, over)) return why;
  }
  if (all && what.what == verb::resume) {
    over.everything_paused = false;
    for (auto& [name, place] : over.places) place.paused = false;
  } else if (all) {
    over.everything_paused = true;
  } else {
    auto& place = over.places[what.subject];
    if (what.what == verb::disable || what.what == verb::enable) {
      place.disabled = what.what == verb::disable;
    } else {
      place.paused = what.what != verb::resume;
    }
  }
  std::erase_if(over.places, [](const auto& one) { return one.second == routing::overrides::of_place(); });
  return std::nullopt;
}

}  // namespace

task<answer> clerk::lay_over(const command& what) {
  house::override_change change;
  if (is_of_tenant(what.what)) {
    change = [what](const routing::route_table& table, routing::overrides& over) {
      return change_tenant(what, table, over);
    };
  } else {
    // What was laid over a place that has left can still be taken back.
    const bool takes_back = what.what == verb::resume || what.what == verb::enable;
    const bool laid = home_.current()->overrides->places.contains(what.subject);
    if (auto unknown = unknown_place(what.subject); unknown && !(takes_back && laid)) co_return std::move(*unknown);
    change = [what](const routing::route_table&, routing::overrides& over) { return change_place(what, over); };
  }
  std::string word(name_of(what.what));
  answer made = co_await lay(std::move(word), what.subject, std::move(change));
  if (made.error && made.error->code == sqlstate::invalid_catalog_name && is_of_tenant(what.what))
    made.error = no_such_tenant(*home_.current(), what.subject);
  co_return made;
}

// `what` and `subject` are for the log.
task<answer> clerk::lay(std::string what, std::string subject, house::override_change change) {
  std::function<void(reply<outcome>)> ask = [this, &what, &subject, &change](reply<outcome> to) {
    house_.lay_over(by_, what, subject, std::move(change), std::move(to));
  };
  auto came = co_await hear<outcome>(std::move(ask));
  answer made;
  if (!came) {
    made.error = refusal(sqlstate::query_canceled, "the command was cancelled");
  } else if (*came) {
    made.error = std::move(**came);
  }
  co_return made;
}

// Empty: as of others again.
task<answer> clerk::lay_log_level(const command& what, std::string level) {
  const bool known = route_of(*home_.current()->routes, what.tenant).has_value();
  const bool laid = home_.current()->overrides->log_levels.contains(what.tenant);
  const bool takes_back = level.empty() && laid;
  if (!known && !takes_back) co_return answer::refused(no_such_tenant(*home_.current(), what.tenant));
  house::override_change change = [tenant = what.tenant, level](const routing::route_table&,
                                                                routing::overrides& over) -> outcome {
    if (level.empty()) {
      over.log_levels.erase(tenant);
    } else {
      over.log_levels[tenant] = level;
    }
    return std::nullopt;
  };
  std::string word = "log_level " + (level.empty() ? "DEFAULT" : level);
  co_return co_await lay(std::move(word), what.tenant, std::move(change));
}

}  // namespace proxy::console
