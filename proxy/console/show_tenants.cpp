// TENANTS and ROUTES are made row by row from the table in force, which may have 100,000 of them.
#include <algorithm>
#include <memory>

#include "conf/words.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/console/layouts.hpp"
#include "proxy/console/lexer.hpp"
#include "proxy/console/shows.hpp"
#include "proxy/explain_route.hpp"
#include "routing/session_state.hpp"

namespace proxy::console {
namespace {

struct session_sums {
  std::size_t all = 0;
  std::size_t waiting = 0;  // the queue's, and those that are held, paused or slowed by a rate
  void add(const client_facts& one) {
    ++all;
    if (one.waits()) ++waiting;
  }
};
using sums_by_tenant = std::unordered_map<std::string, session_sums>;

std::size_t lent_to(const std::string& tenant, const pool_list& pools) {
  std::size_t sum = 0;
  for (const auto& pool : pools) sum += pool->count(tenant).lent;
  return sum;
}

std::string joined(const auto& list, auto text_of) {
  std::string all;
  for (const auto& one : list) all += (all.empty() ? "" : ", ") + std::string(text_of(one));
  return all;
}

row tenant_row(const snapshot& now, const std::string& tenant, const session_sums& sessions, const pool_list& pools,
               house& at_home) {
  const std::string override_text(now.overrides->of(tenant));
  routing::identity who;
  who.tenant = routing::tenant_id::parse(tenant).value_or(routing::tenant_id());
  auto found = now.routes->resolve(who);
  row made(columns_of(thing::tenants).size());
  made[0] = tenant;
  made[1] = "unknown";
  made[2] = override_text;
  if (!found) return made;
  now.overrides->apply(*found);
  made[1] = to_string(found->state);
  made[3] = found->rule;
  made[4] = found->database;
  made[5] = found->server->name;
  made[6] = found->dbname;
  made[7] = found->role;
  made[8] = to_string(found->pool);
  made[9] = std::to_string(sessions.all);
  made[10] = std::to_string(lent_to(tenant, pools));
  made[11] = std::to_string(sessions.waiting);
  if (found->limits.connections) made[12] = std::to_string(*found->limits.connections);
  if (const auto p99 = at_home.recent_p99(tenant)) made[13] = std::to_string(p99->count());
  return made;
}

// A rule as it is written, not what it comes to.
row rule_row(const std::string& name, const routing::rule& says) {
  const auto text = [](const routing::name_template& one) { return one.text(); };
  row made(columns_of(thing::routes).size());
  made[0] = name;
  if (says.database) {
    made[1] = says.database->name;
    made[2] = says.database->server->name;
    if (says.database->dbname) made[3] = says.database->dbname->text();
  }
  if (says.schema && *says.schema) made[4] = (*says.schema)->text();
  if (says.search_path) made[5] = joined(*says.search_path, text);
  if (says.role && *says.role) made[6] = (*says.role)->text();
  if (says.users) made[7] = joined(*says.users, [](const std::string& one) { return one; });
  if (says.pool) made[8] = to_string(*says.pool);
  if (says.guard) made[9] = *says.guard ? "on" : "off";
  if (says.state) made[10] = to_string(*says.state);
  return made;
}

}  // namespace

table show_tenants(const snapshot_ptr& now, const client_list& clients, const pool_list& pools, house& at_home) {
  // Those of patterns and of `defaults` are there when somebody comes, or is laid over.
  auto names = std::make_shared<std::vector<std::string>>();
  auto sessions = std::make_shared<sums_by_tenant>();
  names->reserve(now->routes->tenants().size());
  for (const auto& [id, rule] : now->routes->tenants()) names->push_back(id);
  for (const client_facts& one : clients) {
    if (one.tenant.empty()) continue;
    session_sums& of = (*sessions)[one.tenant];
    if (of.all == 0) names->push_back(one.tenant);
    of.add(one);
  }
  for (const auto& [id, state] : now->overrides->tenants) names->push_back(id);
  std::ranges::sort(*names);
  const auto twice = std::ranges::unique(*names);
  names->erase(twice.begin(), twice.end());
  const std::size_t size = names->size();
  return {columns_of(thing::tenants), key_of(thing::tenants), size,
          [now, names, sessions, pools, &at_home](std::size_t at, row& into) {
            const std::string& tenant = (*names)[at];
            const auto found = sessions->find(tenant);
            into = tenant_row(*now, tenant, found == sessions->end() ? session_sums() : found->second, pools, at_home);
          }};
}

table show_routes(const snapshot_ptr& now) {
  using entry = std::pair<std::string, const routing::rule*>;
  auto rules = std::make_shared<std::vector<entry>>();
  for (const auto& [id, rule] : now->routes->tenants()) rules->emplace_back("tenants." + id, rule);
  std::ranges::sort(*rules, {}, &entry::first);
  for (const auto& [pattern, rule] : now->routes->patterns()) rules->emplace_back("tenants." + pattern, rule);
  rules->emplace_back("defaults", &now->routes->parts().defaults);
  if (now->routes->parts().no_tenant == routing::no_tenant_action::route) {
    rules->emplace_back("no_tenant", &now->routes->parts().no_tenant_route);
  }
  const std::size_t size = rules->size();
  return {columns_of(thing::routes), key_of(thing::routes), size,
          [now, rules](std::size_t at, row& into) { into = rule_row((*rules)[at].first, *(*rules)[at].second); }};
}

std::expected<table, pgwire::error_report> show_tenant(const snapshot_ptr& now, const std::string& tenant,
                                                       const client_list& clients, const pool_list& pools,
                                                       house& at_home) {
  const auto id = routing::tenant_id::parse(tenant);
  const auto rule = id ? now->routes->find(tenant) : std::nullopt;
  if (!rule && !now->overrides->tenants.contains(tenant)) return std::unexpected(no_such_tenant(*now, tenant));
  session_sums sessions;
  for (const client_facts& one : clients) {
    if (one.tenant == tenant) sessions.add(one);
  }
  const row cells = tenant_row(*now, tenant, sessions, pools, at_home);
  const columns& heads = columns_of(thing::tenants);
  std::vector<row> rows;
  rows.reserve(heads.size());
  for (std::size_t i = 0; i < heads.size(); ++i) rows.push_back({heads[i].name, cells[i]});
  routing::identity who;
  who.tenant = *id;
  if (const auto where = now->routes->resolve(who)) {
    for (const auto& [name, value] : routing::session_defaults(*where)) {
      if (name != "role") rows.push_back({name, value});
    }
    rows.push_back({"guard", where->guard ? "on" : "off"});
    rows.push_back({"users", joined(where->users, [](const std::string& one) { return one; })});
    const auto log_level = now->overrides->log_level_of(tenant);
    if (!log_level.empty()) rows.push_back({"log_level", std::string(log_level) + ", by the console"});
    if (const auto over = now->overrides->tenants.find(tenant); over != now->overrides->tenants.end()) {
      rows.push_back({"message", over->second.message});
    } else if (!where->message.empty()) {
      rows.push_back({"message", where->message});
    }
  }
  return table::of(columns_of(thing::tenant), std::move(rows));
}

pgwire::error_report no_such_tenant(const snapshot& now, const std::string& tenant) {
  // With more than that the search for a near one would take too long.
  constexpr std::size_t most_compared = 10'000;
  std::vector<std::string_view> names;
  if (now.routes->tenants().size() <= most_compared) {
    for (const auto& [id, rule] : now.routes->tenants()) names.emplace_back(id);
  }
  const auto near = conf::nearest(tenant, names);
  return refusal(pgwire::sqlstate::invalid_catalog_name, "no such tenant: " + conf::in_quotes(tenant),
                 near.empty() ? "SHOW TENANTS lists them." : "Did you mean '" + std::string(near) + "'?");
}

std::expected<table, pgwire::error_report> show_route(const snapshot& now, const std::string& subject) {
  const auto explained = explain_route(*now.settings, *now.routes, subject, *now.overrides);
  if (!explained) {
    return std::unexpected(refusal(pgwire::sqlstate::invalid_parameter_value, explained.error(),
                                   "Write a tenant's id, or a URL as 'postgres://user@lodge/dbname'."));
  }
  std::vector<row> rows;
  std::string tenant;
  std::string database;
  rows.reserve(explained->lines.size() + 2);
  for (const auto& [name, value] : explained->lines) {
    if (name == "tenant") tenant = value;
    if (name == "database") database = value.substr(0, value.find(','));
    rows.push_back({name, value});
  }
  if (const auto over = now.overrides->of(tenant); !over.empty()) {
    rows.push_back({"override", std::string(over) + ", by the console"});
  }
  if (now.overrides->is_paused(database)) rows.push_back({"override", "database " + database + " is paused"});
  if (now.overrides->is_disabled(database)) rows.push_back({"override", "database " + database + " is disabled"});
  return table::of(columns_of(thing::route), std::move(rows));
}

}  // namespace proxy::console
