#include "routing/table_diff.hpp"

#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>

namespace routing {
namespace {

constexpr std::size_t most_named = 10;

std::string counted(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

std::string_view name_of(const std::shared_ptr<const database>& place) {
  return place ? std::string_view(place->name) : "none";
}

// What differs between two entries, such as "database shared -> acme, users changed". What an entry leaves out is
// looked up in the defaults only where its value is worth showing.
std::string changes(const rule& was, const rule& was_default, const rule& now, const rule& now_default) {
  std::string words;
  const auto add = [&](const std::string& one) { words += (words.empty() ? "" : ", ") + one; };
  const auto from_to = [&](std::string_view what, std::string_view before, std::string_view after) {
    if (before != after) add(std::string(what) + " " + std::string(before) + " -> " + std::string(after));
  };
  const auto state_of = [](const rule& own, const rule& inherited) {
    return to_string(own.state.value_or(inherited.state.value_or(tenant_state::active)));
  };
  from_to("database", name_of(was.database ? was.database : was_default.database),
          name_of(now.database ? now.database : now_default.database));
  from_to("state", state_of(was, was_default), state_of(now, now_default));
  const auto changed = [&](std::string_view what, const auto& before, const auto& after) {
    if (!(before == after)) add(std::string(what) + " changed");
  };
  changed("schema", was.schema, now.schema);
  changed("search_path", was.search_path, now.search_path);
  changed("role", was.role, now.role);
  changed("settings", was.settings, now.settings);
  changed("users", was.users, now.users);
  changed("guard", was.guard, now.guard);
  changed("pool", was.pool, now.pool);
  changed("message", was.message, now.message);
  changed("limits", was.limits, now.limits);
  return words;
}

// Those that came or went: "2 tenants added (acme, globex)".
std::string named(std::vector<std::string> ids, std::string_view what) {
  std::ranges::sort(ids);
  const std::size_t said = std::min(ids.size(), most_named);
  std::string words = counted(ids.size(), "tenant") + " " + std::string(what) + " (";
  for (std::size_t i = 0; i < said; ++i) words += (i == 0 ? "" : ", ") + ids[i];
  if (ids.size() > said) words += " and " + std::to_string(ids.size() - said) + " more";
  return words + ")";
}

// Of tenants, of which there may be many: how many, and the names of the first.
void compare_tenants(const route_table& was, const route_table& now, std::vector<std::string>& phrases) {
  std::vector<std::string> added, removed;
  std::vector<std::pair<std::string, std::string>> changed;
  for (const auto& [id, says] : now.tenants()) {
    const auto before = was.tenants().find(id);
    if (before == was.tenants().end()) {
      added.push_back(id);
    } else if (!(*before->second == *says)) {
      changed.emplace_back(id, changes(*before->second, was.parts().defaults, *says, now.parts().defaults));
    }
  }
  for (const auto& [id, said] : was.tenants()) {
    if (!now.tenants().contains(id)) removed.push_back(id);
  }
  if (!added.empty()) phrases.push_back(named(std::move(added), "added"));
  if (!removed.empty()) phrases.push_back(named(std::move(removed), "removed"));

  std::ranges::sort(changed);
  const std::size_t said = std::min(changed.size(), most_named);
  for (std::size_t i = 0; i < said; ++i) {
    // Said otherwise and meant the same, as a database that was the default's and is now written out.
    const auto& [id, words] = changed[i];
    phrases.push_back(id + ": " + (words.empty() ? "written differently" : words));
  }
  if (changed.size() > said) phrases.push_back("and " + counted(changed.size() - said, "more tenant") + " changed");
}

// Of things with names: "server main added", "server main: hosts changed".
void compare_named(std::string_view kind, const auto& was, const auto& now, auto describe,
                   std::vector<std::string>& phrases) {
  const auto by_name = [](const auto& list) {
    std::map<std::string_view, decltype(&*list.begin()->second)> index;
    for (const auto& [name, one] : list) index.emplace(name, &*one);
    return index;
  };
  const auto before = by_name(was);
  const auto after = by_name(now);
  const auto phrase = [&](std::string_view name, std::string_view what) {
    phrases.push_back(std::string(kind) + " " + std::string(name) + std::string(what));
  };
  for (const auto& [name, one] : after) {
    const auto found = before.find(name);
    if (found == before.end()) {
      phrase(name, " added");
    } else if (const std::string what = describe(*found->second, *one); !what.empty()) {
      phrase(name, ": " + what);
    }
  }
  for (const auto& [name, one] : before) {
    if (!after.contains(name)) phrase(name, " removed");
  }
}

std::string server_changes(const server& was, const server& now) {
  std::string words;
  const auto changed = [&](std::string_view what, bool differs) {
    if (differs) words += (words.empty() ? "" : ", ") + std::string(what) + " changed";
  };
  const auto tls_of = [](const server& one) { return std::tie(one.tls, one.tls_ca, one.tls_certificate, one.tls_key); };
  changed("hosts", was.hosts != now.hosts);
  changed("replicas", was.replicas != now.replicas);
  changed("tls", tls_of(was) != tls_of(now));
  changed("user", was.user != now.user);
  changed("password_file", was.password_file != now.password_file);
  changed("max_connections", was.max_connections != now.max_connections);
  changed("health_check", was.health_check != now.health_check);
  return words;
}

limits limits_of(const shared_limits_ptr& shared) { return shared ? shared->limits : limits(); }

std::string database_changes(const database& was, const database& now) {
  std::string words;
  const auto add = [&](const std::string& one) { words += (words.empty() ? "" : ", ") + one; };
  if (was.server->name != now.server->name) add("server " + was.server->name + " -> " + now.server->name);
  const auto dbname = [](const database& one) { return one.dbname ? one.dbname->text() : "the client's own"; };
  if (dbname(was) != dbname(now)) add("dbname " + dbname(was) + " -> " + dbname(now));
  const auto pool = [](const database& one) {
    return std::tie(one.mode, one.pool_size, one.refuses_pins, one.shares_within_tenant, one.prepare);
  };
  if (pool(was) != pool(now)) add("pool changed");
  if (limits_of(was.limits) != limits_of(now.limits)) add("limits changed");
  return words;
}

std::string role_changes(const shared_limits& was, const shared_limits& now) {
  return was.limits == now.limits ? "" : "limits changed";
}

}  // namespace

std::vector<std::string> diff(const route_table& was, const route_table& now) {
  std::vector<std::string> phrases;
  const table_parts& before = was.parts();
  const table_parts& after = now.parts();
  const auto between_rules = [&](const rule& a, const rule& b) {
    return changes(a, before.defaults, b, after.defaults);
  };
  compare_tenants(was, now, phrases);
  compare_named("pattern", was.patterns(), now.patterns(), between_rules, phrases);
  if (const auto words = changes(before.defaults, {}, after.defaults, {}); !words.empty()) {
    phrases.push_back("defaults: " + words);
  }
  compare_named("server", before.servers, after.servers, server_changes, phrases);
  compare_named("database", before.databases, after.databases, database_changes, phrases);
  compare_named("role", before.roles, after.roles, role_changes, phrases);
  if (before.hints != after.hints) phrases.emplace_back("hints changed");
  if (before.unknown != after.unknown) phrases.emplace_back("unknown_tenants changed");
  if (before.no_tenant != after.no_tenant || !(before.no_tenant_route == after.no_tenant_route)) {
    phrases.emplace_back("no_tenant changed");
  }
  return phrases;
}

}  // namespace routing
