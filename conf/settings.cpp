#include "conf/settings.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace conf {
namespace {

constexpr auto daemon = file_kind::daemon;
constexpr auto routes = file_kind::routes;

std::vector<setting> daemon_settings_table() {
  constexpr auto restart = taken_up::restart;
  return {
      {daemon, "listen", "list", "required", "The doors: where clients connect.", force::yes, "", restart},
      {daemon, "listen.*.address", "address", "",
       "A TCP address: host, host:port, [v6]:port, or * for every address; port 6432 if none is given.", force::yes, "",
       restart},
      {daemon, "listen.*.unix", "path", "",
       "A folder in which the Unix socket .s.PGSQL.PORT is made; instead of an address.", force::yes, "", restart},
      {daemon, "listen.*.port", "integer", "6432",
       "The port in the Unix socket's name; with an address the port stands there.", force::yes, "", restart},
      {daemon, "listen.*.tls", "mapping", "", "Encryption at this door.", force::yes, "", restart},
      {daemon, "listen.*.tls.mode", "off | allow | require | verify", "off",
       "Whether clients may (allow) or must (require) use TLS, with a certificate of their own (verify).", force::yes,
       "", restart},
      {daemon, "listen.*.tls.certificate", "path", "",
       "The server certificate with its issuers behind it, PEM; needed unless the mode is off."},
      {daemon, "listen.*.tls.key", "path", "", "Its private key, PEM, without a passphrase."},
      {daemon, "listen.*.tls.certificates", "list", "[]",
       "Further certificates: a client that asks for a host by name (SNI) gets the first that is for it."},
      {daemon, "listen.*.tls.certificates.*.certificate", "path", "required", "As above."},
      {daemon, "listen.*.tls.certificates.*.key", "path", "required", "As above."},
      {daemon, "listen.*.tls.client_ca", "path", "",
       "The authorities that client certificates must come from, PEM; needed by verify."},
      {daemon, "routes", "path", "required",
       "The routing table: a file, or a folder whose *.yaml and *.yml files are read by name; watched."},
      {daemon, "workers", "auto or integer", "auto", "Event-loop threads; auto is as many as cores.", force::yes, "",
       restart},
      {daemon, "io_method", "auto | epoll | io_uring", "auto",
       "How bytes are received and sent: many sockets' in one call to the kernel (io_uring, Linux 6.1 or later, where "
       "it "
       "is allowed), or each by a call of its own (epoll); auto is io_uring while there is much to do, where the "
       "kernel "
       "offers it, else epoll.",
       force::yes, "", restart},
      {daemon, "auth", "mapping", "", "How clients prove who they are."},
      {daemon, "auth.method", "trust | password | md5 | scram-sha-256 | cert | passthrough",
       "passthrough; scram-sha-256 if users or query are given",
       "Who checks: nobody (trust), the server itself (passthrough), or the lodge. passthrough cannot stand beside a "
       "server with a user or a certificate of the lodge's own."},
      {daemon, "auth.users", "path", "", "A file of roles and secrets in PgBouncer's format: \"name\" \"secret\"."},
      {daemon, "auth.query", "mapping", "", "Where to ask for the secret of a role that the users file has not."},
      {daemon, "auth.query.database", "name", "required", "The entry of `databases` that is asked."},
      {daemon, "auth.query.user", "name", "required",
       "The role that asks; its password is in the users file, or in the server's password_file. Where the server's "
       "tls.mode verifies, its tls.ca must be written: the role asks through libpq, which knows no system "
       "authorities."},
      {daemon, "auth.query.sql", "text", "required",
       "The statement; $1 is the role, and it gives one row of name and secret; a null secret lets nobody in. What it "
       "gives is believed for 10 s, so for so long an old password works after ALTER ROLE, and so does a role that was "
       "dropped or has expired; a new password works at the next attempt after one was refused."},
      {daemon, "auth.rules", "list", "[]", "Like pg_hba.conf: the first rule that fits decides; else auth.method."},
      {daemon, "auth.rules.*.tls", "on | off", "any", "Fits sessions with TLS, or without."},
      {daemon, "auth.rules.*.address", "text", "any",
       "Fits clients of this address or network, 10.0.0.0/8, or unix for Unix sockets."},
      {daemon, "auth.rules.*.database", "name", "any",
       "Fits sessions that ask for this database: what the client says, as the hints leave it, not where it is led. "
       "pglodge fits the console's sessions alone."},
      {daemon, "auth.rules.*.role", "name", "any", "Fits sessions of this role, as the hints leave its name."},
      {daemon, "auth.rules.*.tenant", "text", "any",
       "Fits sessions of this tenant, or of a pattern with *. Whoever changes its tenant later must have passed what "
       "the "
       "rules ask for there, or more."},
      {daemon, "auth.rules.*.method", "trust | password | md5 | scram-sha-256 | cert | passthrough | reject",
       "required", "The method for those whom the rule fits; reject lets none of them in."},
      {daemon, "admin", "mapping", "", "The lodge's own desk: console and metrics."},
      {daemon, "admin.users", "list of names", "[]", "Roles that may connect to the virtual database pglodge."},
      {daemon, "admin.stats_users", "list of names", "[]", "Roles that may connect to it, but only look."},
      {daemon, "admin.http", "address", "none",
       "host:port for /metrics, /healthz, /readyz and /tenants/ID. Whoever reaches it is told: keep it off the open "
       "net.",
       force::yes, "", restart},
      {daemon, "admin.metrics_tenants", "integer", "50",
       "How many tenants /metrics names, those that use most; the others are told together. At most 500."},
      {daemon, "admin.stats_period", "duration", "60s",
       "The averages of SHOW STATS are those of the last such period that is over."},
      {daemon, "peers", "list of addresses", "[]",
       "host:port of the other lodges behind the same balancer: each is shown the cancel requests that belong to no "
       "session here, by TLS where it offers that."},
      {daemon, "log", "mapping", "", "What goes to standard error."},
      {daemon, "log.level", "trace | debug | info | warn | error", "info", "The least weight a line must have."},
      {daemon, "log.format", "text | json", "text", "How lines are written."},
      {daemon, "resources", "mapping", "", "What the process may use."},
      {daemon, "resources.clients", "integer", "none",
       "Sessions of clients at a time, all tenants together; the console's are not counted."},
      {daemon, "resources.memory", "size", "none",
       "Resident memory: from 90 % of it on nobody new is let in, beyond it the session that holds most is ended. A "
       "client's message that outgrows its room is there twice for a moment, so leave as much again to the limit of a "
       "container. At least 64MiB."},
      {daemon, "usage", "mapping", "none", "The ledger of what tenants use, for billing; see USAGE.md.", force::yes, "",
       restart},
      {daemon, "usage.ledger", "path", "required", "The folder for its files, one a day (UTC); it must exist.",
       force::yes, "", restart},
      {daemon, "usage.interval", "duration", "60s",
       "How often lines are written, one for each tenant that used anything; the most that a crash can lose.",
       force::yes, "", restart},
      {daemon, "usage.keep_days", "integer", "400",
       "The newest so many days' files stay, older ones are deleted; 0 keeps all. Days without a file do not count.",
       force::yes, "", restart},
      {daemon, "timeouts", "mapping", "", "How long things may take."},
      {daemon, "timeouts.startup", "duration", "15s",
       "From a client's coming to being let in; time spent held or waiting is not counted."},
      {daemon, "timeouts.connect", "duration", "5s",
       "One attempt at one host of a server: connection and login; or the reset of a connection after a session."},
      {daemon, "timeouts.idle", "duration", "0", "How long a client may be idle outside a transaction; 0 is for ever."},
      {daemon, "timeouts.server_idle", "duration", "10m",
       "How long an unused server connection is kept; 0 is for ever."},
      {daemon, "timeouts.server_lifetime", "duration", "1h",
       "How long a server connection is used at all; 0 is for ever."},
      {daemon, "timeouts.query_wait", "duration", "30s",
       "How long a client may be made to wait, where limits.wait says nothing."},
      {daemon, "timeouts.query_wait_notify", "duration", "5s",
       "A client that waits for longer is told so once, by a notice; 0 is never."},
      {daemon, "timeouts.drain", "duration", "60s", "How long sessions may go on after SIGTERM."},
      {daemon, "timeouts.unready", "duration", "0",
       "How long new clients are still let in after SIGTERM, while /readyz says no: the time a balancer needs to see "
       "it."},
      {daemon, "timeouts.upgrade", "duration", "10m",
       "How long sessions go on in the old process after an upgrade (SIGUSR2) before it drains; 0 is for ever."},
  };
}

// What a tenant, `defaults` and no_tenant's route may say.
struct route_row {
  std::string_view key, type, fallback, doc;
  force in_force = force::yes;
};
constexpr std::array route_block{
    route_row{"database", "name", "", "The entry of `databases` where it lives."},
    route_row{"schema", "template or null", "", "Its schema; search_path is this and public. null is none."},
    route_row{"search_path", "list of templates, or null", "",
              "The whole search_path, instead of a schema. null is the server's own."},
    route_row{"role", "template or null", "", "The role that statements run as. null is none."},
    route_row{"settings", "mapping of setting to value", "",
              "Any other server settings, key by key over those of `defaults`; {tenant} is filled in."},
    route_row{"users", "list of names, or null", "everybody", "The only roles that may enter. null is everybody."},
    route_row{"guard", "on | off", "on in a shared database, off in a dedicated one",
              "Whether statements that would leave the tenant's clothes are refused. Nobody watches connections that "
              "clients have for their own. Shared is also an entry without `dbname`, if others live on its server."},
    route_row{
        "pool", "session | transaction", "transaction",
        "How long a client keeps a server connection. A tenant's own word counts before its database's pool.mode, and "
        "that before `defaults`."},
    route_row{"state", "active | read_only | held | suspended", "active",
              "Open; open for reading; new sessions wait; or refused."},
    route_row{"message", "text", "", "What sessions of a suspended tenant are told."},
    route_row{"limits", "mapping", "", "What it may use, key by key over those of `defaults`."},
    route_row{"limits.clients", "integer", "none", "Client sessions at a time."},
    route_row{"limits.connections", "integer", "none", "Server connections at a time."},
    route_row{"limits.min_connections", "integer", "0", "Server connections that others leave free for it."},
    route_row{"limits.weight", "integer", "1", "Its share when several wait for a server connection."},
    route_row{"limits.queries_per_second", "integer", "none", "Statements a second, on average."},
    route_row{"limits.burst", "integer", "queries_per_second", "Statements at once, above the average."},
    route_row{"limits.bytes_per_second", "size", "none", "Bytes a second, both ways together."},
    route_row{"limits.query_time", "duration", "none", "How long a statement may run; 0 is for ever."},
    route_row{"limits.transaction_time", "duration", "none", "How long a transaction may last; 0 is for ever."},
    route_row{"limits.idle_in_transaction", "duration", "none", "How long a transaction may be idle; 0 is for ever."},
    route_row{"limits.wait", "duration", "timeouts.query_wait",
              "How long a client may be made to wait; 0 is not at all."},
    route_row{"limits.log_min_duration_statement", "duration", "none",
              "Statements that take as long are logged, without their values; 0 is all of them."},
};

// What all sessions of a database, or of a role, share.
constexpr std::array shared_limits_block{
    route_row{"clients", "integer", "none", "Client sessions at a time."},
    route_row{"queries_per_second", "integer", "none", "Statements a second, on average."},
    route_row{"burst", "integer", "queries_per_second", "Statements at once, above the average."},
    route_row{"bytes_per_second", "size", "none", "Bytes a second, both ways together."},
    route_row{"query_time", "duration", "none", "How long a statement may run; 0 is no limit."},
    route_row{"transaction_time", "duration", "none", "How long a transaction may last; 0 is no limit."},
    route_row{"idle_in_transaction", "duration", "none", "How long a transaction may be idle; 0 is no limit."},
};

std::vector<setting> routes_settings_table() {
  constexpr auto no = force::no;
  std::vector<setting> table{
      {routes, "include", "list of paths", "[]",
       "More files of this kind, read after this one; * and ? may stand in the file's name."},
      {routes, "hints", "list", "[]", "Where a session says which tenant it is for: one key an entry, tried in order."},
      {routes, "hints.*.startup", "name of a setting", "", "A startup parameter, or options=-c NAME=tenant."},
      {routes, "hints.*.user", "template", "", "The user name, with {tenant} and {role}."},
      {routes, "hints.*.database", "template", "", "The database's name, with {tenant} and {dbname}."},
      {routes, "hints.*.sni", "template", "", "The TLS server name, with {tenant}, in lower case."},
      {routes, "hints.*.certificate", "cn | san", "", "The name in the client's certificate that is the id."},
      {routes, "hints.*.variable", "name of a setting", "",
       "A setting that the session sets while it runs, such as SET app.tenant = 'acme', or begins with."},
      {routes, "hints.*.search_path", "template", "",
       "A schema that the session puts into its search_path, or has there from the beginning, with {tenant}."},
      {routes, "servers", "mapping of name to server", "",
       "PostgreSQL servers: who is there, how to reach it, how much it can bear."},
      {routes, "servers.*.hosts", "list of addresses", "required",
       "host, host:port, [v6]:port or a socket's folder, /run/postgresql:5433; the one that is a primary serves. Port "
       "5432 if none is given."},
      {routes, "servers.*.replicas", "list of addresses", "[]", "Hosts for sessions that only read.", no},
      {routes, "servers.*.tls", "mapping", "", "Encryption towards the server."},
      {routes, "servers.*.tls.mode", "disable | prefer | require | verify-ca | verify-full", "disable",
       "As libpq's sslmode; Unix sockets are always plain. With prefer plain text takes TLS's place where the server "
       "has none, the handshake fails, or the server refuses the role over TLS; only require and stricter are a "
       "promise."},
      {routes, "servers.*.tls.ca", "path", "",
       "The authorities that the server's certificate must come from, PEM; the system's if none are given, but for "
       "auth.query, which needs them written."},
      {routes, "servers.*.tls.certificate", "path", "",
       "The lodge's own certificate, PEM. Not with passthrough, by which the server would take every client for it."},
      {routes, "servers.*.tls.key", "path", "", "Its private key, PEM."},
      {routes, "servers.*.user", "name", "the client's role",
       "Who logs in for everybody; the session's role is then the route's, else the client's. Not with passthrough."},
      {routes, "servers.*.password_file", "path", "", "A file with that user's password and nothing else."},
      {routes, "servers.*.max_connections", "integer", "none",
       "One budget over every database and tenant on this server."},
      {routes, "servers.*.health_check", "duration", "2s",
       "How often the hosts are asked which of them is the primary, where there are several and a user to log in by; "
       "and how often a server that is out of reach is asked while no client waits for it; 0: never."},
      {routes, "databases", "mapping of name to database", "", "Places a tenant can live."},
      {routes, "databases.*.server", "name", "required", "The entry of `servers` it is on."},
      {routes, "databases.*.dbname", "template or null", "the client's own",
       "Its name there; with {tenant}, a database for each."},
      {routes, "databases.*.pool", "mapping", "", "How its server connections are shared."},
      {routes, "databases.*.pool.mode", "session | transaction", "transaction",
       "How long a client keeps a server connection. After a session it is reset, for the next one that begins alike."},
      {routes, "databases.*.pool.size", "integer", "none", "Server connections at a time."},
      {routes, "databases.*.pool.pin", "allow | refuse", "allow",
       "Whether a session may keep a shared connection beyond a transaction, for a temporary table or the like."},
      {routes, "databases.*.pool.share", "all | tenant", "all",
       "Who may get a connection that a tenant had: every tenant of the database, after a reset, or only itself."},
      {routes, "databases.*.pool.prepare", "repeated | named | off", "repeated",
       "What stays prepared on shared connections: what clients prepare and unnamed statements that keep coming; only "
       "what has a name; nothing."},
  };
  const auto add_rows = [&](const std::string& prefix, const auto& rows) {
    for (const route_row& one : rows) {
      table.push_back({routes, prefix + "." + std::string(one.key), one.type, one.fallback, one.doc, one.in_force});
    }
  };
  const auto add_block = [&](const std::string& prefix) { add_rows(prefix, route_block); };
  table.push_back({routes, "databases.*.limits", "mapping", "",
                   "What all who live there may use together, beside what each tenant may."});
  add_rows("databases.*.limits", shared_limits_block);
  table.push_back({routes, "roles", "mapping of role to its limits", "",
                   "Roles that clients log in as, without what a hint takes out of the name."});
  table.push_back({routes, "roles.*.limits", "mapping", "",
                   "What all sessions of the role may use together, whatever their tenants."});
  add_rows("roles.*.limits", shared_limits_block);
  table.push_back({routes, "defaults", "mapping", "",
                   "What every tenant starts from; each key of a tenant's own takes its place."});
  add_block("defaults");
  table.push_back({routes, "tenants", "mapping of id or pattern to tenant", "",
                   "Who lives where: an exact id wins, then the longest pattern that matches."});
  add_block("tenants.*");
  table.push_back({routes, "unknown_tenants", "reject | default", "reject",
                   "What becomes of a tenant that no entry matches: refused, or placed by `defaults`."});
  table.push_back({routes, "no_tenant", "mapping", "", "What becomes of a session that names no tenant."});
  table.push_back({routes, "no_tenant.action", "reject | wait | route", "reject",
                   "Refused; let in, to name one by a variable or search_path hint before it may do anything else; or "
                   "placed by `route`."});
  table.push_back({routes, "no_tenant.route", "mapping", "",
                   "Its route, which starts from nothing: `defaults` speak of {tenant}."});
  add_block("no_tenant.route");
  return table;
}

void plant(key_node& root, const setting& row) {
  key_node* at = &root;
  bool covered = false;
  std::string_view rest = row.path;
  while (!rest.empty()) {
    const std::string_view part = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    if (at->row != nullptr && at->row->in_force != force::yes) covered = true;
    if (part == "*") {
      if (!at->each) at->each = std::make_unique<key_node>();
      at = at->each.get();
      continue;
    }
    auto found = std::ranges::find(at->keys, part, [](const auto& one) { return one.first; });
    if (found == at->keys.end()) found = at->keys.insert(found, {part, std::make_unique<key_node>()});
    at = found->second.get();
  }
  at->row = &row;
  at->covered = covered;
}

}  // namespace

const std::vector<setting>& all_settings() {
  static const std::vector<setting> table = [] {
    std::vector<setting> all = daemon_settings_table();
    std::ranges::move(routes_settings_table(), std::back_inserter(all));
    return all;
  }();
  return table;
}

const key_node* key_node::find(std::string_view key) const {
  for (const auto& [name, node] : keys) {
    if (name == key) return node.get();
  }
  return nullptr;
}

const key_node& keys_of(file_kind file) {
  static const std::array<key_node, 2> trees = [] {
    std::array<key_node, 2> made;
    for (const setting& row : all_settings()) plant(made[row.file == file_kind::daemon ? 0 : 1], row);
    return made;
  }();
  return trees[file == file_kind::daemon ? 0 : 1];
}

std::vector<std::string_view> words_of(std::string_view type) {
  constexpr std::string_view bar = " | ";
  std::vector<std::string_view> words;
  while (true) {
    const auto end = type.find(bar);
    words.push_back(type.substr(0, end));
    if (end == std::string_view::npos) return words;
    type.remove_prefix(end + bar.size());
  }
}

}  // namespace conf
