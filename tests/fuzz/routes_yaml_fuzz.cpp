// Bytes as a routing table: what is accepted makes a table, and every error has a place and says something.
#include <cstdlib>
#include <string_view>

#include "conf/routes_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  conf::report out;
  const conf::yaml_source source{"routes.yaml", "/etc/pglodge", &out};
  const std::string text(data, data + size);
  auto parts = conf::read_routes(conf::routes_from_text(text, source));
  for (const auto& error : out.errors()) {
    const bool is_placed = error.starts_with("routes.yaml:") || error.starts_with("and ");
    if (!is_placed || error.size() > 10'000) std::abort();
  }
  if (out.warnings().size() > 1) std::abort();
  if (out.error_count() > 0) return 0;

  // A good table leads somewhere: every tenant has a database, and that a server.
  for (const auto& [id, rule] : parts.tenants) {
    const auto& place = rule.database ? rule.database : parts.defaults.database;
    if (!place || !place->server || place->server->hosts.empty()) std::abort();
  }
  const routing::route_table table(std::move(parts));
  for (const auto* id : {"acme", "trial-1", "nobody"}) {
    routing::identity who;
    who.tenant = routing::tenant_id::parse(id).value();
    if (const auto route = table.resolve(who); route && !route->server) std::abort();
  }
  if (const auto route = table.resolve({}); route && !route->server) std::abort();
  return 0;
}
