#include <algorithm>
#include <map>
#include <set>

#include "proxy/console/layouts.hpp"
#include "proxy/console/shows.hpp"

namespace proxy::console {
namespace {

std::optional<std::string> text_of(const std::optional<std::uint32_t>& number) {
  if (!number) return std::nullopt;
  return std::to_string(*number);
}

std::string hosts_of(const routing::server& server) {
  std::string all;
  for (const auto& one : server.hosts) all += (all.empty() ? "" : ",") + one.address;
  return all;
}

std::map<std::string, std::size_t> connections_by_place(const pool_list& pools) {
  std::map<std::string, std::size_t> sums;
  for (const auto& pool : pools) {
    for (const auto& one : pool->connections()) ++sums[one.place];
  }
  return sums;
}

}  // namespace

table show_databases(const snapshot& now, const client_list& clients, const pool_list& pools) {
  const auto connections = connections_by_place(pools);
  std::map<std::string, std::size_t> sessions;
  for (const client_facts& one : clients) ++sessions[one.place];
  const auto count = [](const auto& sums, const std::string& name) {
    const auto found = sums.find(name);
    return std::to_string(found == sums.end() ? 0 : found->second);
  };
  const auto& timeouts = now.settings->timeouts;
  const auto lifetime = std::chrono::duration_cast<std::chrono::seconds>(timeouts.server_lifetime).count();
  std::vector<row> rows;
  for (const auto& [name, place] : now.routes->parts().databases) {
    const routing::server& server = *place->server;
    rows.push_back(
        {name, hosts_of(server), std::to_string(server.hosts.front().port),
         place->dbname ? std::optional(place->dbname->text()) : std::nullopt,
         server.user.empty() ? std::nullopt : std::optional(server.user), text_of(place->pool_size), "0", "0",
         std::to_string(lifetime), place->mode ? std::optional(std::string(to_string(*place->mode))) : std::nullopt,
         std::nullopt, text_of(server.max_connections).value_or("0"), count(connections, name),
         std::to_string(place->limits ? place->limits->limits.clients.value_or(0) : 0), count(sessions, name),
         now.overrides->is_paused(name) ? "1" : "0", now.overrides->is_disabled(name) ? "1" : "0", server.name});
  }
  return table::of(columns_of(thing::databases), std::move(rows), key_of(thing::databases));
}

table show_hosts(const snapshot& now, const server_memory& memory) {
  const auto time_of = [](const std::optional<clock::time_point>& when) {
    return when ? std::optional(time_text(*when)) : std::nullopt;
  };
  std::vector<row> rows;
  for (const auto& [name, server] : now.routes->parts().servers) {
    for (const routing::host& one : server->hosts) {
      const auto seen = memory.last_sight(one);
      rows.push_back({name, one.address, std::to_string(one.port), std::string(to_string(seen.role)),
                      time_of(seen.since), time_of(seen.asked),
                      seen.trouble.empty() ? std::nullopt : std::optional(seen.trouble), time_of(seen.trouble_at)});
    }
  }
  return table::of(columns_of(thing::hosts), std::move(rows), key_of(thing::hosts));
}

table show_pools(const client_list& clients, const pool_list& pools) {
  struct sums {
    std::size_t cl_active = 0;
    std::size_t cl_waiting = 0;
    std::size_t own = 0;  // connections that sessions have or had for themselves
    ledger::pool_totals all;
    void add(const ledger::pool_totals& one) {
      all.lent += one.lent;
      all.opening += one.opening;
      all.idle += one.idle;
      if (!one.key.start.empty()) own += one.lent + one.idle;
      add_wait(one.waiting_since);
    }
    // Who is held, paused or slowed by a rate stands in no queue.
    void add_wait(const std::optional<clock::time_point>& since) {
      if (since) all.waiting_since = std::min(all.waiting_since.value_or(*since), *since);
    }
  };
  using name = std::tuple<std::string, std::string, std::string>;  // dbname, user, server
  std::map<name, sums> all;
  for (const auto& pool : pools) {
    for (const auto& one : pool->totals()) all[{one.key.dbname, one.key.user, pool->server()->name}].add(one);
  }
  for (const client_facts& one : clients) {
    if (one.is_console || one.server.empty()) continue;
    sums& of = all[{one.pool.dbname, one.pool.user, one.server}];
    ++(one.waits() ? of.cl_waiting : of.cl_active);
    of.add_wait(one.waiting_since);
    if (one.link && one.link->own) ++of.own;
  }
  std::vector<row> rows;
  for (const auto& [key, sum] : all) {
    const auto& [dbname, user, server] = key;
    const auto active = sum.all.lent - sum.all.opening;
    using std::chrono::microseconds;
    std::int64_t waits = 0;
    if (sum.all.waiting_since) {
      waits = std::chrono::duration_cast<microseconds>(clock::now() - *sum.all.waiting_since).count();
    }
    waits = std::max<std::int64_t>(waits, 0);
    rows.push_back(
        {dbname, user, std::to_string(sum.cl_active), std::to_string(sum.cl_waiting), "0", "0", std::to_string(active),
         "0", "0", std::to_string(sum.all.idle), "0", "0", std::to_string(sum.all.opening),
         std::to_string(waits / 1'000'000), std::to_string(waits % 1'000'000),
         sum.own > 0 && sum.own == sum.all.lent + sum.all.idle ? "session" : "transaction", std::nullopt, server});
  }
  // As PgBouncer shows its own: so the table is never empty.
  const auto consoles = std::ranges::count_if(clients, &client_facts::is_console);
  row& own = rows.emplace_back(columns_of(thing::pools).size(), "0");
  own[0] = own[1] = "pglodge";
  own[2] = std::to_string(consoles);
  own[own.size() - 3] = "statement";
  own[own.size() - 2] = own.back() = std::nullopt;
  return table::of(columns_of(thing::pools), std::move(rows), key_of(thing::pools));
}

table show_lists(const snapshot& now, const client_list& clients, const pool_list& pools) {
  std::set<std::string> users;
  std::size_t logging_in = 0;
  for (const client_facts& one : clients) {
    users.insert(one.user);
    if (one.state == "login") ++logging_in;
  }
  std::size_t used = 0;
  std::size_t idle = 0;
  std::size_t keys = 0;
  for (const auto& pool : pools) {
    std::set<std::pair<std::string, std::string>> kinds;
    for (const auto& one : pool->totals()) {
      kinds.emplace(one.key.dbname, one.key.user);
      used += one.lent;
      idle += one.idle;
    }
    keys += kinds.size();
  }
  const auto& parts = now.routes->parts();
  const std::vector<std::pair<std::string, std::size_t>> items{
      {"databases", parts.databases.size()},
      {"users", users.size()},
      {"pools", keys},
      {"free_clients", 0},
      {"used_clients", clients.size()},
      {"login_clients", logging_in},
      {"free_servers", 0},
      {"used_servers", used + idle},
      {"dns_names", 0},
      {"dns_zones", 0},
      {"dns_queries", 0},
      {"dns_pending", 0},
      {"tenants", now.routes->tenants().size()},
      {"patterns", now.routes->patterns().size()},
      {"servers", parts.servers.size()},
      {"overrides", now.overrides->tenants.size() + now.overrides->places.size() + now.overrides->log_levels.size() +
                        (now.overrides->everything_paused ? 1U : 0U)},
  };
  std::vector<row> rows;
  rows.reserve(items.size());
  for (const auto& [name, count] : items) rows.push_back({name, std::to_string(count)});
  return table::of(columns_of(thing::lists), std::move(rows), key_of(thing::lists));
}

}  // namespace proxy::console
