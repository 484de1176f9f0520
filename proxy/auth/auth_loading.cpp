#include "proxy/auth/auth_loading.hpp"

#include <algorithm>
#include <utility>

#include "conf/words.hpp"

namespace proxy {
namespace {

const routing::database* find_database(const routing::route_table& routes, const std::string& name) {
  const auto& all = routes.parts().databases;
  const auto found = all.find(name);
  return found != all.end() ? found->second.get() : nullptr;
}

bool is_verified(routing::tls_mode mode) {
  return mode == routing::tls_mode::verify_ca || mode == routing::tls_mode::verify_full;
}

bool may_come_by_scram(const conf::auth_settings& auth) {
  constexpr auto scram = conf::auth_method::scram_sha_256;
  return auth.method == scram ||
         std::ranges::any_of(auth.rules, [](const conf::auth_rule& rule) { return rule.method == scram; });
}

}  // namespace

const routing::server* asked_server(const conf::auth_settings& auth, const routing::route_table& routes) {
  const auto* database = auth.query ? find_database(routes, auth.query->database) : nullptr;
  return database != nullptr ? database->server.get() : nullptr;
}

std::expected<role_query_settings, std::string> query_settings(const conf::auth_query& query,
                                                               const conf::timeout_settings& timeouts,
                                                               const routing::route_table& routes,
                                                               const user_table* users,
                                                               const pgwire::secret_string* password_of_server) {
  const auto* database = find_database(routes, query.database);
  if (database == nullptr) {
    return std::unexpected("auth.query.database: " + conf::in_quotes(query.database) +
                           " is no entry of `databases`; write one that is");
  }
  if (!database->dbname || database->dbname->has("tenant")) {
    return std::unexpected("auth.query.database: " + conf::in_quotes(query.database) +
                           " has no one dbname; ask an entry whose dbname is a name without {tenant}");
  }
  const routing::server& server = *database->server;
  if (is_verified(server.tls) && server.tls_ca.empty()) {
    return std::unexpected("auth.query.database: server " + conf::in_quotes(server.name) +
                           " has a tls.mode that verifies, and auth.query needs to be told by what; write its tls.ca");
  }
  role_query_settings made;
  made.database = database->name;
  made.hosts = server.hosts;
  made.tls = server.tls;
  made.tls_ca = server.tls_ca;
  made.tls_certificate = server.tls_certificate;
  made.tls_key = server.tls_key;
  made.dbname = database->dbname->fill({});
  made.user = query.user;
  made.sql = query.sql;
  made.connect_timeout = timeouts.connect;
  if (const auto* own = users != nullptr ? users->password(query.user) : nullptr) {
    made.password = *own;
  } else if (password_of_server != nullptr && server.user == query.user) {
    made.password = *password_of_server;
  }
  return made;
}

loaded_auth_source load_auth_source(auth_tools& tools, const conf::auth_settings& auth,
                                    const conf::timeout_settings& timeouts, const routing::route_table& routes,
                                    const pgwire::secret_string* password_of_server) {
  loaded_auth_source loaded;
  std::shared_ptr<const user_table> users;
  if (!auth.users.empty()) {
    auto read = read_users_file(auth.users);
    users = std::move(read.users);
    loaded.errors = std::move(read.errors);
    loaded.warnings = std::move(read.warnings);
    loaded.files.push_back(auth.users);
  }
  std::unique_ptr<role_query> query;
  if (auth.query) {
    auto settings = query_settings(*auth.query, timeouts, routes, users.get(), password_of_server);
    if (settings) {
      query = std::make_unique<role_query>(*std::move(settings));
    } else {
      loaded.errors.push_back(std::move(settings.error()));
    }
  }
  if (!loaded.errors.empty()) return loaded;
  loaded.source = std::make_shared<auth_source>(tools, std::move(users), std::move(query));
  if (may_come_by_scram(auth)) loaded.source->build_ahead();
  return loaded;
}

}  // namespace proxy
