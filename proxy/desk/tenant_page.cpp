#include "proxy/desk/tenant_page.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

namespace proxy::desk {
namespace {

namespace json = boost::json;

json::value as_value(std::uint32_t count) { return count; }
json::value as_value(std::uint64_t count) { return count; }
json::value as_value(std::chrono::milliseconds time) { return time.count(); }

json::object limits_of(const routing::limits& limits) {
  json::object told;
  const auto add = [&](std::string_view name, const auto& limit) {
    if (limit) told[name] = as_value(*limit);
  };
  add("clients", limits.clients);
  add("connections", limits.connections);
  add("min_connections", limits.min_connections);
  add("weight", limits.weight);
  add("queries_per_second", limits.queries_per_second);
  add("burst", limits.burst);
  add("bytes_per_second", limits.bytes_per_second);
  add("query_time_ms", limits.query_time);
  add("transaction_time_ms", limits.transaction_time);
  add("idle_in_transaction_ms", limits.idle_in_transaction);
  add("wait_ms", limits.wait);
  add("log_min_duration_statement_ms", limits.log_min_duration_statement);
  return told;
}

json::array names(const std::vector<std::string>& all) { return json::array(all.begin(), all.end()); }

json::object route_of(const routing::route& where, routing::who_checks checks) {
  const bool by_server = checks == routing::who_checks::server;
  json::array hosts, settings;
  for (const auto& host : where.server->hosts) hosts.emplace_back(routing::to_string(host));
  for (const auto& [name, value] : where.settings) settings.emplace_back(name);
  json::object told;
  told["entry"] = where.rule;
  told["database"] = where.database;
  told["server"] = where.server->name;
  told["hosts"] = std::move(hosts);
  if (!where.dbname.empty()) told["dbname"] = where.dbname;
  if (!where.search_path.empty()) told["search_path"] = names(where.search_path);
  if (!where.role.empty()) told["role"] = where.role;
  if (!settings.empty()) told["settings"] = std::move(settings);
  if (!where.users.empty()) told["users"] = names(where.users);
  told["pool"] = by_server ? "passthrough" : routing::to_string(where.pool);
  told["guard"] = where.guard && !by_server && where.pool != routing::pool_mode::session;
  return told;
}

}  // namespace

std::optional<routing::tenant_id> tenant_of_path(std::string_view encoded) {
  std::string decoded;
  while (!encoded.empty()) {
    if (encoded.front() != '%') {
      decoded += encoded.front();
      encoded.remove_prefix(1);
      continue;
    }
    if (encoded.size() < 3) return std::nullopt;
    unsigned char byte = 0;
    const char* const end = encoded.data() + 3;
    const auto read = std::from_chars(encoded.data() + 1, end, byte, 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
    decoded += static_cast<char>(byte);
    encoded.remove_prefix(3);
  }
  return routing::tenant_id::parse(decoded);
}

std::string tenant_page(const routing::route& where, const usage_counts& used, std::uint32_t clients,
                        routing::who_checks checks) {
  json::object counts;
  for (const auto& [name, value] : all_usage_counts) counts[name] = used.*value;
  json::object page;
  page["tenant"] = where.tenant.str();
  page["state"] = routing::to_string(where.state);
  page["clients"] = clients;
  page["counts"] = std::move(counts);
  page["limits"] = limits_of(where.limits);
  for (const auto& one : where.shared) {
    page[std::string(routing::limit_owner(*one).kind()) + "_limits"] = limits_of(one->limits);
  }
  page["route"] = route_of(where, checks);
  return json::serialize(page) + "\n";
}

}  // namespace proxy::desk
