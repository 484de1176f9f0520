// pglodge.yaml: [pgbouncer]'s doors, ways to prove who one is, and times.
#include <algorithm>
#include <array>
#include <utility>

#include "conf/daemon_file.hpp"
#include "conf/names.hpp"
#include "conf/pgbouncer_hba.hpp"
#include "conf/pgbouncer_translate.hpp"
#include "conf/utf8.hpp"
#include "conf/words.hpp"
#include "conf/yaml_writer.hpp"

namespace conf {
namespace {

std::vector<std::string> items_of(std::string_view list) {
  std::vector<std::string> items;
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    std::string_view one = list.substr(0, comma);
    one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
    one = one.substr(0, one.find_last_not_of(" \t") + 1);
    if (!one.empty() && std::ranges::find(items, one) == items.end()) items.emplace_back(one);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return items;
}

// A name that is none without quotes.
std::string access_name(const std::string& name, access_column column) {
  return is_access_keyword(name, column) ? '"' + name + '"' : yaml_scalar(name);
}

std::string rule_text(const auth_rule& rule) {
  yaml_flow flow;
  if (rule.tls) flow.add("tls", *rule.tls ? "on" : "off");
  if (rule.from == auth_rule::origin::unix_socket) flow.add("address", "unix");
  if (rule.from == auth_rule::origin::network) flow.add("address", yaml_scalar(to_string(rule.network)));
  if (!rule.database.empty()) flow.add("database", access_name(rule.database, access_column::database));
  if (!rule.role.empty()) flow.add("role", access_name(rule.role, access_column::role));
  flow.add("method", std::string(to_string(rule.method)));
  return flow.str();
}

class daemon_writer {
 public:
  daemon_writer(const import_context& import, const std::optional<imported_query>& query)
      : import_(import), global_(import.config.global), query_(query) {}

  std::string write() {
    text_ =
        "# What the lodge is told by whoever runs it. Made from PgBouncer's configuration by pglodge "
        "import-pgbouncer.\n"
        "\n";
    write_listen();
    text_ += "\nroutes: routes.yaml\n\n";
    write_auth();
    write_admin();
    write_resources();
    write_log();
    write_timeouts();
    return std::move(text_);
  }

 private:
  void remark(std::string_view setting, std::string_view what) {
    import_.notes.remark(global_.where(setting), setting, what);
  }
  void error(std::string_view setting, std::string_view what) {
    import_.notes.error(global_.where(setting), setting, what);
  }

  // Where clients must use TLS, leaving it out for want of a file would open a door: so these are errors.
  std::string door_tls() {
    const std::string_view theirs = global_.text("client_tls_sslmode");
    if (theirs == "disable") return {};
    const bool verifies = theirs.starts_with("verify");
    yaml_flow tls;
    tls.add("mode", verifies ? "verify" : theirs == "require" ? "require" : "allow");
    const auto add = [&](std::string_view key, std::string_view setting, bool is_needed) {
      const auto path = import_.path(setting);
      if (!path.empty()) tls.add(key, yaml_scalar(path.native()));
      if (path.empty() && is_needed) error("client_tls_sslmode", "needs " + std::string(setting));
    };
    add("certificate", "client_tls_cert_file", true);
    add("key", "client_tls_key_file", true);
    add("client_ca", "client_tls_ca_file", verifies);
    return tls.str();
  }

  void write_listen() {
    const auto port = parse_port(global_.text("listen_port"));
    if (!port) return error("listen_port", "not a port");
    const std::string behind = ":" + std::to_string(*port);
    const std::string tls = door_tls();
    text_ += "listen:\n";
    bool has_door = false;
    std::vector<std::string> hosts = items_of(global_.text("listen_addr"));
    if (hosts.size() > 1 && std::ranges::find(hosts, "*") != hosts.end()) {
      remark("listen_addr", "* stands for every address: the others are left out");
      hosts = {"*"};
    }
    for (const std::string& host : hosts) {
      std::string address = host.contains(':') ? "[" + host + "]" : host;
      address += behind;
      if (host.starts_with('/') || !parse_address(address)) {
        error("listen_addr", in_quotes(host) + " is neither a host's name nor an IP address");
        continue;
      }
      has_door = true;
      text_ += "  - address: " + yaml_scalar(address) + "\n";
      if (!tls.empty()) text_ += "    tls: " + tls + "\n";
    }
    const std::string_view folder = global_.text("unix_socket_dir");
    if (folder.starts_with('@')) {
      remark("unix_socket_dir", "not carried over: sockets have a folder here, none is abstract");
    } else if (!folder.empty()) {
      if (global_.where("unix_socket_dir") == nullptr) {
        remark("unix_socket_dir", "PgBouncer makes a socket in /tmp, unless it was built for another folder");
      }
      has_door = true;
      text_ += "  - unix: " + yaml_scalar(import_.path("unix_socket_dir").native()) + "\n";
      text_ += "    port: " + std::to_string(*port) + "\n";
    }
    if (!has_door) error("listen_addr", "is needed, or a folder in unix_socket_dir: without any nobody can connect");
  }

  void write_auth() {
    const auto users = import_.path("auth_file");
    const bool has_secrets = !users.empty() || query_;
    text_ += "auth:\n  method: " + method(has_secrets) + "\n";
    if (!users.empty()) text_ += "  users: " + yaml_scalar(users.native()) + "\n";
    if (query_) {
      text_ += "  query:\n    database: " + yaml_scalar(query_->database) + "\n    user: " + yaml_scalar(query_->user) +
               "\n    sql: " + yaml_scalar(query_->sql) + "\n";
    }
    if (global_.text("auth_type") == "hba") write_rules(has_secrets);
  }

  // auth_type in our words.
  std::string method(bool has_secrets) {
    const std::string_view type = global_.text("auth_type");
    if (type == "cert") {
      if (!global_.text("client_tls_sslmode").starts_with("verify")) {
        error("auth_type", "cert needs client_tls_sslmode = verify-ca or verify-full");
      }
      return "cert";
    }
    if (type == "trust" || type == "any") {
      remark("auth_type",
             type == "any"
                 ? "trust is written; the role that a client names is still its role, where the database has no user"
                 : "trust lets in whoever names a role, also one that auth_file does not have");
      return "trust";
    }
    if (type == "ldap" || type == "pam") {
      remark("auth_type", std::string(type) +
                              " has no counterpart; passthrough is written, by which the server checks "
                              "the client's own password, and each client has a connection of its own");
      return "passthrough";
    }
    if (!has_secrets) {
      if (type != "hba") {
        remark("auth_type",
               "needs auth_file or auth_user, and there is neither; passthrough is written, by which the server "
               "checks the client's own password, and each client has a connection of its own");
      }
      return "passthrough";
    }
    if (type == "plain") return "password";
    return type == "hba" ? "scram-sha-256" : std::string(type);
  }

  void write_rules(bool has_secrets) {
    const auto file = import_.path("auth_hba_file");
    if (file.empty()) return error("auth_type", "hba needs auth_hba_file");
    const auto text = import_.around.read(file);
    if (!text) return error("auth_hba_file", "cannot be read: " + text.error());
    if (find_bad_text(*text)) return error("auth_hba_file", "is not UTF-8, or holds a control character");
    const hba_reading reading = read_pgbouncer_hba(*text, has_secrets);
    for (const hba_remark& one : reading.remarks) {
      remark("auth_hba_file", "line " + std::to_string(one.line) + ": " + one.what);
    }
    text_ += "  rules:\n";
    for (const auth_rule& rule : reading.rules) text_ += "    - " + rule_text(rule) + "\n";
  }

  void write_admin() {
    yaml_flow admin;
    for (const auto& [key, setting] : {std::pair{"users", "admin_users"}, {"stats_users", "stats_users"}}) {
      std::vector<std::string> names;
      for (const std::string& name : items_of(global_.text(setting))) {
        if (is_usable_name(import_, global_.where(setting), setting, name)) names.push_back(yaml_scalar(name));
      }
      if (!names.empty()) admin.add(key, yaml_list(names));
    }
    const auto period = global_.seconds("stats_period");
    if (period && period->count() > 0) admin.add("stats_period", duration_text(*period));
    if (!admin.empty()) text_ += "\nadmin: " + admin.str() + "\n";
  }

  // PgBouncer counts its console's clients, too.
  void write_resources() {
    const auto clients = global_.count("max_client_conn");
    if (clients && *clients > 0) text_ += "\nresources: { clients: " + std::to_string(*clients) + " }\n";
  }

  void write_log() {
    const auto verbose = global_.count("verbose").value_or(0);
    text_ += std::string("\nlog: { level: ") + (verbose == 0 ? "info" : verbose == 1 ? "debug" : "trace") + " }\n";
  }

  void write_timeouts() {
    struct row {
      std::string_view key, setting;
      bool zero_is_for_ever;  // with the lodge, too
    };
    constexpr std::array rows{
        row{"startup", "client_login_timeout", false},      row{"connect", "server_connect_timeout", false},
        row{"idle", "client_idle_timeout", true},           row{"server_idle", "server_idle_timeout", true},
        row{"server_lifetime", "server_lifetime", true},    row{"query_wait", "query_wait_timeout", false},
        row{"query_wait_notify", "query_wait_notify", true}};
    text_ += "\ntimeouts:\n";
    for (const row& one : rows) {
      auto time = global_.seconds(one.setting);
      if (!time) continue;
      if (time->count() == 0 && !one.zero_is_for_ever) {
        time = as_good_as_for_ever;
        remark(one.setting, "0 would be no time at all; a day is written");
      }
      if (time->count() == 0 && one.setting == "server_lifetime") {
        remark(one.setting, "not carried over: connections that serve once are those of pool.mode: session");
        continue;
      }
      text_ += "  " + std::string(one.key) + ": " + duration_text(*time) + "\n";
    }
  }

  const import_context& import_;
  const pgbouncer_values& global_;
  const std::optional<imported_query>& query_;
  std::string text_;
};

}  // namespace

imported_file translate_daemon(const import_context& import, const std::optional<imported_query>& query) {
  return {"pglodge.yaml", daemon_writer(import, query).write()};
}

}  // namespace conf
