// routes.yaml: [databases] become servers, places and tenants, [users] roles with limits.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "conf/limits_reader.hpp"
#include "conf/names.hpp"
#include "conf/pgbouncer_translate.hpp"
#include "conf/words.hpp"
#include "conf/yaml_writer.hpp"
#include "routing/ids.hpp"

namespace conf {
namespace {

// Limits in time, and what PgBouncer calls them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> times{
    {{"query_time", "query_timeout"},
     {"transaction_time", "transaction_timeout"},
     {"idle_in_transaction", "idle_transaction_timeout"}}};

struct server_entry {
  std::vector<std::string> hosts;  // as routes.yaml writes them
  std::string user, password;
  friend bool operator==(const server_entry&, const server_entry&) = default;
};

// The name of a file, an entry: what an editor, a shell and YAML leave alone.
std::string simple_name(std::string_view text) {
  std::string name;
  for (const char c : text) name += routing::tenant_id::parse("_" + std::string(1, c)) ? c : '_';
  return name.substr(0, 40);
}

template <class Named>
std::string unique_name(std::string name, const Named& is_taken) {
  const std::string wanted = name;
  for (int i = 2; is_taken(name); ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

// As "hosts" writes one; empty if it cannot be reached from here.
std::string host_text(std::string_view host, std::string_view port) {
  std::string text(host);
  if (host.contains(':')) text = "[" + text + "]";
  if (port != "5432") text += ":" + std::string(port);
  return host != "*" && parse_address(text) ? text : std::string();
}

yaml_flow place_of(const std::string& server, std::string dbname) {
  yaml_flow entry;
  entry.add("server", yaml_scalar(server));
  entry.add("dbname", std::move(dbname));
  return entry;
}

class routes_writer {
 public:
  routes_writer(const import_context& import, const imported_query* query) : import_(import), query_(query) {}

  std::vector<imported_file> write() {
    read_server_tls();
    for (const pgbouncer_database& one : import_.config.databases) add_database(one);
    for (const pgbouncer_user& one : import_.config.users) add_role(one);
    if (query_ != nullptr && import_.config.find(query_->database) == nullptr) add_query_place();
    if (tenants_.empty() && !import_.notes.has_errors()) {
      import_.notes.error(nullptr, "[databases]", "none could be carried over, so there is nothing to route");
    }
    std::vector<imported_file> files{{"routes.yaml", text()}};
    std::ranges::move(passwords_, std::back_inserter(files));
    return files;
  }

 private:
  [[nodiscard]] const pgbouncer_values& global() const { return import_.config.global; }

  void read_server_tls() {
    std::string mode(global().text("server_tls_sslmode"));
    const ini_entry* at = global().where("server_tls_sslmode");
    if (mode == "disable") return;
    if (mode == "allow") {
      mode = "prefer";
      import_.notes.remark(at, "server_tls_sslmode",
                           "allow has no counterpart; prefer is written, which tries TLS first");
    }
    tls_.add("mode", mode);
    const auto add = [&](std::string_view key, std::string_view setting) {
      if (const auto path = import_.path(setting); !path.empty()) tls_.add(key, yaml_scalar(path.native()));
      return global().text(setting).empty() ? nullptr : global().where(setting);
    };
    const bool has_ca = add("ca", "server_tls_ca_file") != nullptr;
    const ini_entry* certificate = add("certificate", "server_tls_cert_file");
    const ini_entry* key = add("key", "server_tls_key_file");
    if ((certificate == nullptr) != (key == nullptr)) {
      import_.notes.error(certificate != nullptr ? certificate : key, "server_tls_cert_file",
                          "and server_tls_key_file need each other");
    }
    if (mode.starts_with("verify") && !has_ca) {
      import_.notes.remark(at, "server_tls_sslmode", "without server_tls_ca_file the system's authorities are trusted");
    }
  }

  // The server's name among `servers`, or nothing if the database cannot be reached from here.
  std::optional<std::string> server_of(const pgbouncer_database& database) {
    server_entry made;
    if (!read_hosts(database, made)) return std::nullopt;
    made.user = database.values.text("user");
    const ini_entry* password = database.values.where("password");
    if (!made.user.empty()) {
      if (!is_usable_name(import_, database.entry, database.path("user"), made.user)) return std::nullopt;
      made.password = database.values.text("password");
      if (made.password.empty()) made.password = password_from_users_file(database, made.user);
    } else if (password != nullptr) {
      import_.notes.remark(database.entry, database.path("password"),
                           "not carried over: without user PgBouncer does not use it either");
    }
    const auto known = std::ranges::find(servers_, made, &std::pair<std::string, server_entry>::second);
    if (known != servers_.end()) return known->first;
    return add_server(std::move(made));
  }

  std::string add_server(server_entry made) {
    const std::string_view host = made.hosts.front();
    std::string name = host.starts_with('/') ? "local" : simple_name(host);
    if (!routing::tenant_id::parse(name)) name = "server";
    if (!made.user.empty()) name += "-" + simple_name(made.user).substr(0, 15);
    name = unique_name(std::move(name), [&](const std::string& other) {
      return std::ranges::any_of(servers_, [&](const auto& one) { return one.first == other; });
    });
    if (!made.password.empty()) passwords_.push_back({name + ".password", made.password + "\n", true});
    servers_.emplace_back(name, std::move(made));
    return name;
  }

  bool read_hosts(const pgbouncer_database& database, server_entry& into) {
    const std::string_view port = database.values.text("port");
    std::string_view rest = database.values.text("host");
    if (rest.empty()) rest = global().text("unix_socket_dir");
    if (rest.empty()) rest = "localhost";
    while (true) {
      const auto comma = std::min(rest.find(','), rest.size());
      std::string host = host_text(rest.substr(0, comma), port);
      if (host.empty()) {
        import_.notes.remark(
            database.entry, database.path("host"),
            "the database is not carried over: no host and port that the lodge can reach; it knows host "
            "names, IP addresses and folders of Unix sockets");
        return false;
      }
      if (std::ranges::find(into.hosts, host) == into.hosts.end()) into.hosts.push_back(std::move(host));
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
    if (into.hosts.size() > 1 && database.values.where("load_balance_hosts") == nullptr) {
      import_.notes.remark(
          database.entry, database.path("host"),
          "load is not spread over hosts: they are tried in their order, and the first that is a primary "
          "serves");
    }
    return true;
  }

  std::string password_from_users_file(const pgbouncer_database& database, const std::string& user) {
    const auto users = import_.path("auth_file");
    const auto password = users.empty() ? std::nullopt : import_.around.password_of(users, user);
    if (password) return *password;
    import_.notes.remark(database.entry, database.path("user"),
                         "its password stands neither here nor, as itself, in auth_file; unless the server trusts the "
                         "lodge, write it into a file of its own and name that in servers.*.password_file");
    return {};
  }

  void add_database(const pgbouncer_database& database) {
    const bool is_fallback = database.name == "*";
    if (!is_fallback && !is_usable_name(import_, database.entry, database.path({}), database.name)) return;
    const std::string_view dbname = database.values.text("dbname");
    if (!dbname.empty() && !is_usable_name(import_, database.entry, database.path("dbname"), dbname)) return;
    const auto server = server_of(database);
    if (!server) return;

    std::string place = database.name;
    if (is_fallback) {
      place = unique_name("fallback", [&](const auto& name) { return import_.config.find(name) != nullptr; });
    }
    std::string dbname_text = yaml_template(dbname.empty() ? database.name : dbname);
    if (is_fallback && dbname.empty()) dbname_text = yaml_scalar("{tenant}");
    yaml_flow entry = place_of(*server, std::move(dbname_text));
    yaml_flow pool;
    pool.add("mode", std::string(pool_mode_of(database)));
    const auto size = pool_size_of(database);
    // What PgBouncer counts by database is for `*` one count a tenant, and one place for all of them.
    if (size && !is_fallback) pool.add("size", std::to_string(*size));
    entry.add("pool", pool.str());
    // Likewise clients.
    const auto clients = clients_of(database.values, "max_db_client_connections");
    if (clients && !is_fallback) entry.add("limits", only_clients(*clients).str());
    places_.emplace_back(place, entry.str());

    if (!is_fallback && !routing::tenant_id::parse(database.name)) {
      import_.notes.remark(
          database.entry, database.path({}),
          "no client gets there: its name is no tenant's id ([A-Za-z0-9_][A-Za-z0-9_.-]{0,62}), so add a "
          "tenant with database: " +
              yaml_scalar(place) + " under a name that clients ask for");
      return;
    }
    yaml_flow tenant;
    tenant.add("database", yaml_scalar(place));
    // PgBouncer's sessions are the user's that logs in, the lodge's the client's own role's.
    if (const auto user = database.values.text("user"); !user.empty()) tenant.add("role", yaml_template(user));
    add_settings(database, tenant);
    // The guard keeps tenants apart who share a database, which PgBouncer does not know.
    if (is_fallback && !dbname.empty()) tenant.add("guard", "off");
    add_limits(database, is_fallback ? size : std::nullopt, is_fallback ? clients : std::nullopt, tenant);
    tenants_.emplace_back(database.name, tenant.str());
  }

  // The place in which auth.query asks, where only `*` leads to it.
  void add_query_place() {
    const pgbouncer_database* fallback = import_.config.find("*");
    const auto server = server_of(*fallback);
    if (!server) return;
    yaml_flow entry = place_of(*server, yaml_template(query_->database));
    places_.emplace_back(query_->database, entry.str());
  }

  std::string_view pool_mode_of(const pgbouncer_database& database) {
    const ini_entry* own = database.values.where("pool_mode");
    const std::string_view mode = own != nullptr ? database.values.text("pool_mode") : global().text("pool_mode");
    const ini_entry* at = own != nullptr ? own : global().where("pool_mode");
    const std::string path = own != nullptr ? database.path("pool_mode") : "pool_mode";
    if (mode == "statement") {
      import_.notes.remark(
          at, path,
          "statement has no counterpart; transaction is written, which also takes transactions of several statements");
      return "transaction";
    }
    if (mode == "session") {
      import_.notes.remark(
          at, path,
          "session gives each client a server connection of its own for as long as it stays, counted against "
          "pool.size; with pool.mode: transaction settings, prepared statements and the like follow the client, so "
          "that most applications that needed session can use it");
    }
    return mode;
  }

  // Where the database's own value stands, else [pgbouncer]'s.
  [[nodiscard]] const ini_entry* where_of(const pgbouncer_database& database, std::string_view key,
                                          std::string_view fallback) const {
    const ini_entry* own = database.values.where(key);
    return own != nullptr ? own : global().where(fallback);
  }
  [[nodiscard]] static std::string path_of(const pgbouncer_database& database, std::string_view key,
                                           std::string_view fallback) {
    return database.values.where(key) != nullptr ? database.path(key) : std::string(fallback);
  }

  // Server connections for this database, as far as PgBouncer bounds them: its pool and the reserve, but no more than
  // max_db_connections. How many users there are, each of whom has a pool with PgBouncer, the ini does not say.
  std::optional<std::uint32_t> pool_size_of(const pgbouncer_database& database) {
    const auto of = [&](std::string_view key, std::string_view fallback) {
      return database.values.where(key) != nullptr ? database.values.count(key) : global().count(fallback);
    };
    auto size = of("pool_size", "default_pool_size");
    const auto most = of("max_db_connections", "max_db_connections");
    const bool has_alias =
        database.values.where("reserve_pool") != nullptr && database.values.where("reserve_pool_size") == nullptr;
    const auto reserve = of(has_alias ? "reserve_pool" : "reserve_pool_size", "reserve_pool_size").value_or(0);
    if (size) size = std::min(*size, most_connections) + std::min(reserve, most_connections);
    if (most && (!size || *most < *size)) {
      size = most;
      import_.notes.remark(where_of(database, "max_db_connections", "max_db_connections"),
                           path_of(database, "max_db_connections", "max_db_connections"),
                           "bounds what pool_size and the reserve ask for: it is pool.size");
    } else if (size && database.values.text("user").empty()) {
      import_.notes.remark(
          where_of(database, "pool_size", "default_pool_size"), path_of(database, "pool_size", "default_pool_size"),
          "PgBouncer counts by user and database, the lodge by database; raise pool.size" +
              (most ? ", to max_db_connections at most," : std::string()) + " where several roles use one");
    }
    return size ? std::optional(std::min(*size, most_connections)) : std::nullopt;
  }

  void add_settings(const pgbouncer_database& database, yaml_flow& tenant) const {
    yaml_flow settings;
    for (const std::string_view name : {"application_name", "client_encoding", "datestyle", "timezone"}) {
      if (database.values.where(name) != nullptr) settings.add(name, yaml_template(database.values.text(name)));
    }
    if (!settings.empty()) tenant.add("settings", settings.str());
  }

  void add_limits(const pgbouncer_database& database, std::optional<std::uint32_t> connections,
                  std::optional<std::uint32_t> clients, yaml_flow& tenant) const {
    yaml_flow limits;
    if (connections) limits.add("connections", std::to_string(*connections));
    if (clients) limits.add("clients", std::to_string(*clients));
    if (const auto wait = database.values.seconds("query_wait_timeout")) {
      limits.add("wait", duration_text(wait->count() > 0 ? *wait : as_good_as_for_ever));
    }
    if (!limits.empty()) tenant.add("limits", limits.str());
  }

  // How many clients its entry allows, else [pgbouncer].
  [[nodiscard]] std::optional<std::uint32_t> clients_of(const pgbouncer_values& own, std::string_view setting) const {
    const auto clients = (own.where(setting) != nullptr ? own : global()).count(setting);
    return clients ? std::optional(std::min(*clients, 1'000'000'000U)) : std::nullopt;
  }
  static yaml_flow only_clients(std::uint32_t most) {
    yaml_flow limits;
    limits.add("clients", std::to_string(most));
    return limits;
  }

  void add_role(const pgbouncer_user& user) {
    if (!is_usable_name(import_, user.entry, user.path({}), user.name)) return;
    yaml_flow limits;
    if (const auto clients = clients_of(user.values, "max_user_client_connections")) limits = only_clients(*clients);
    for (const auto& [key, setting] : times) {
      const auto time = user.values.seconds(setting);
      if (!time || time->count() == 0) continue;
      limits.add(key, duration_text(*time));
      const auto of_all = global().seconds(setting);
      if (!of_all || of_all->count() == 0 || *of_all >= *time) continue;
      import_.notes.remark(user.entry, user.path(setting),
                           "is longer than that of [pgbouncer], which holds for the role, too: with PgBouncer the "
                           "user's own does, here the shortest");
    }
    if (limits.empty()) return;
    yaml_flow entry;
    entry.add("limits", limits.str());
    roles_.emplace_back(user.name, entry.str());
  }

  [[nodiscard]] std::string text() const {
    std::string text =
        "# Where each tenant lives. Made from PgBouncer's configuration by pglodge import-pgbouncer.\n"
        "\n"
        "hints:\n"
        "  - database: \"{tenant}\"              # the database that a client asks for is its tenant\n"
        "\n"
        "servers:\n";
    for (const auto& [name, server] : servers_) {
      yaml_flow entry;
      std::vector<std::string> hosts;
      hosts.reserve(server.hosts.size());
      for (const std::string& host : server.hosts) hosts.push_back(yaml_scalar(host));
      entry.add("hosts", yaml_list(hosts));
      const auto is_socket = [](const std::string& host) { return host.starts_with('/'); };
      if (!tls_.empty() && !std::ranges::all_of(server.hosts, is_socket)) entry.add("tls", tls_.str());
      if (!server.user.empty()) entry.add("user", yaml_scalar(server.user));
      if (!server.password.empty()) entry.add("password_file", yaml_scalar(name + ".password"));
      text += "  " + yaml_scalar(name) + ": " + entry.str() + "\n";
    }
    const auto add = [&](std::string_view section, const auto& entries) {
      text += "\n" + std::string(section) + ":\n";
      for (const auto& [name, entry] : entries) text += "  " + yaml_scalar(name) + ": " + entry + "\n";
    };
    add("databases", places_);
    if (!roles_.empty()) add("roles", roles_);
    yaml_flow limits;
    for (const auto& [key, setting] : times) {
      const auto time = global().seconds(setting);
      if (time && time->count() > 0) limits.add(key, duration_text(*time));
    }
    if (!limits.empty()) text += "\ndefaults:\n  limits: " + limits.str() + "\n";
    add("tenants", tenants_);
    return text + "\nunknown_tenants: reject\nno_tenant: { action: reject }\n";
  }

  const import_context& import_;
  const imported_query* query_;
  yaml_flow tls_;
  std::vector<std::pair<std::string, server_entry>> servers_;
  std::vector<std::pair<std::string, std::string>> places_, roles_, tenants_;  // name and entry
  std::vector<imported_file> passwords_;
};

}  // namespace

std::vector<imported_file> translate_routes(const import_context& import, const imported_query* query) {
  return routes_writer(import, query).write();
}

}  // namespace conf
