#include "proxy/pool/hosts_to_watch.hpp"

#include <algorithm>

namespace proxy {
namespace {

// libpq knows no authorities that are not written.
bool can_verify(const routing::server& server) {
  const bool verifies = server.tls == routing::tls_mode::verify_ca || server.tls == routing::tls_mode::verify_full;
  return !verifies || !server.tls_ca.empty();
}

}  // namespace

// The one whose entry is first by name.
std::string database_to_look_at(const routing::route_table& routes, const routing::server& server) {
  const routing::database* first = nullptr;
  for (const auto& [name, one] : routes.parts().databases) {
    const bool named = one->server->name == server.name && one->dbname && !one->dbname->has("tenant");
    if (named && (first == nullptr || name < first->name)) first = one.get();
  }
  return first == nullptr ? "postgres" : first->dbname->fill({});
}

std::vector<watched_host> hosts_to_watch(const snapshot& by) {
  std::vector<watched_host> all;
  for (const auto& [name, server] : by.routes->parts().servers) {
    const bool wanted = server->hosts.size() > 1 && !server->user.empty() && server->health_check.count() > 0;
    if (!wanted || !can_verify(*server)) continue;
    libpq_login login{server->tls,
                      server->tls_ca,
                      server->tls_certificate,
                      server->tls_key,
                      database_to_look_at(*by.routes, *server),
                      server->user,
                      std::nullopt};
    const auto access = by.secrets->servers.find(name);
    if (access != by.secrets->servers.end()) login.password = access->second->password;
    for (const routing::host& where : server->hosts) {
      all.push_back({name, where, login, server->health_check, by.settings->timeouts.connect});
    }
  }
  return all;
}

}  // namespace proxy
