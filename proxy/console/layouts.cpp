#include "proxy/console/layouts.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "proxy/desk/usage_counts.hpp"

namespace proxy::console {
namespace {

constexpr auto number = column_type::int8;

columns texts(std::initializer_list<std::string_view> names) {
  columns made;
  for (const auto name : names) made.push_back({std::string(name)});
  return made;
}

columns clients_and_servers() {
  return {{"type"},
          {"user"},
          {"database"},
          {"replication"},
          {"state"},
          {"addr"},
          {"port", number},
          {"local_addr"},
          {"local_port", number},
          {"connect_time"},
          {"request_time"},
          {"wait", number},
          {"wait_us", number},
          {"close_needed", number},
          {"ptr"},
          {"link"},
          {"remote_pid", number},
          {"tls"},
          {"application_name"},
          {"prepared_statements", number},
          {"id", number},
          {"tenant"},
          {"place"},
          {"server"},
          {"worker", number},
          {"pins"}};
}

columns sockets() {
  columns made = clients_and_servers();
  const auto behind = std::ranges::find(made, "prepared_statements", &column::name);
  const columns more{{"recv_pos", number},    {"pkt_pos", number},   {"pkt_remain", number}, {"send_pos", number},
                     {"send_remain", number}, {"pkt_avail", number}, {"send_avail", number}};
  made.insert(behind, more.begin(), more.end());
  return made;
}

// What is counted, as PgBouncer calls it.
constexpr std::array stat_names{"server_assignment_count",
                                "xact_count",
                                "query_count",
                                "received",
                                "sent",
                                "xact_time",
                                "query_time",
                                "wait_time",
                                "client_parse_count",
                                "server_parse_count",
                                "bind_count"};

// Without a prefix two of them have longer names, which is PgBouncer's way.
columns stats(std::initializer_list<std::string_view> prefixes) {
  columns made{{"database"}};
  for (const auto prefix : prefixes) {
    for (const std::string_view name : stat_names) {
      const bool bytes = prefix.empty() && (name == "received" || name == "sent");
      made.push_back({std::string(bytes ? "bytes_" : prefix) +
                          (prefix == "avg_" && name == "received" ? "recv" : std::string(name)),
                      number});
    }
  }
  return made;
}

columns usage() {
  columns made{{"tenant"}};
  for (const auto& one : desk::all_usage_counts) made.push_back({std::string(one.name), number});
  return made;
}

columns build(thing what) {
  switch (what) {
    case thing::help: return texts({"command", "does"});
    case thing::version: return texts({"version"});
    case thing::config: return texts({"key", "value", "default", "changeable", "source", "description"});
    case thing::state:
    case thing::route:
    case thing::tenant: return texts({"key", "value"});
    case thing::lists: return {{"list"}, {"items", number}};
    case thing::mem: return {{"name"}, {"size", number}, {"used", number}, {"free", number}, {"memtotal", number}};
    case thing::databases:
      return {{"name"},
              {"host"},
              {"port", number},
              {"database"},
              {"force_user"},
              {"pool_size", number},
              {"min_pool_size", number},
              {"reserve_pool_size", number},
              {"server_lifetime", number},
              {"pool_mode"},
              {"load_balance_hosts"},
              {"max_connections", number},
              {"current_connections", number},
              {"max_client_connections", number},
              {"current_client_connections", number},
              {"paused", number},
              {"disabled", number},
              {"server"}};
    case thing::pools:
      return {{"database"},
              {"user"},
              {"cl_active", number},
              {"cl_waiting", number},
              {"cl_active_cancel_req", number},
              {"cl_waiting_cancel_req", number},
              {"sv_active", number},
              {"sv_active_cancel", number},
              {"sv_being_canceled", number},
              {"sv_idle", number},
              {"sv_used", number},
              {"sv_tested", number},
              {"sv_login", number},
              {"maxwait", number},
              {"maxwait_us", number},
              {"pool_mode"},
              {"load_balance_hosts"},
              {"server"}};
    case thing::clients:
    case thing::servers: return clients_and_servers();
    case thing::sockets: return sockets();
    case thing::users:
      return {{"name"},
              {"pool_size", number},
              {"reserve_pool_size", number},
              {"pool_mode"},
              {"max_user_connections", number},
              {"current_connections", number},
              {"max_user_client_connections", number},
              {"current_client_connections", number}};
    case thing::hosts:
      return {{"server"}, {"host"},       {"port", number}, {"role"},
              {"since"},  {"last_asked"}, {"last_error"},   {"last_error_time"}};
    case thing::stats: return stats({"total_", "avg_"});
    case thing::stats_totals:
    case thing::stats_averages: return stats({""});
    case thing::totals: return {{"name"}, {"value", number}};
    case thing::tenants:
      return {{"tenant"},
              {"state"},
              {"override"},
              {"rule"},
              {"database"},
              {"server"},
              {"dbname"},
              {"role"},
              {"pool_mode"},
              {"clients", number},
              {"active", number},
              {"waiting", number},
              {"max_active", number},
              {"p99_us", number}};
    case thing::routes:
      return texts({"rule", "database", "server", "dbname", "schema", "search_path", "role", "users", "pool_mode",
                    "guard", "state"});
    case thing::pins: return {{"client", number}, {"tenant"}, {"user"}, {"database"}, {"pins"}, {"remote_pid", number}};
    case thing::usage: return usage();
    case thing::events: return texts({"time", "kind", "subject", "what", "by"});
  }
  return {};
}

}  // namespace

const columns& columns_of(thing what) {
  static const auto all = [] {
    std::array<columns, thing_count> made;
    for (std::size_t i = 0; i < thing_count; ++i) made[i] = build(static_cast<thing>(i));
    return made;
  }();
  return all[static_cast<std::size_t>(what)];
}

std::size_t key_of(thing what) {
  const auto& heads = columns_of(what);
  const bool by_tenant =
      what == thing::clients || what == thing::servers || what == thing::sockets || what == thing::pins;
  if (what == thing::events) return 2;
  if (!by_tenant) return 0;
  return static_cast<std::size_t>(std::ranges::find(heads, "tenant", &column::name) - heads.begin());
}

const columns* result_of(const command& one) {
  if (one.what == verb::show) return &columns_of(one.shown);
  return one.heads ? &*one.heads : nullptr;
}

}  // namespace proxy::console
