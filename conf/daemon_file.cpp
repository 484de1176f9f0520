// Reads pglodge.yaml top to bottom, in the order in which the reference page describes it.
#include "conf/daemon_file.hpp"

#include <algorithm>

#include "conf/auth_reader.hpp"
#include "conf/listening_places.hpp"
#include "conf/names.hpp"
#include "conf/words.hpp"
#include "conf/yaml_reader.hpp"

namespace conf {
namespace {

constexpr unsigned most_workers = 1024;
constexpr unsigned most_keep_days = 36'500;
// With the longest ids /metrics takes 1.3 KiB a tenant: it stays under 1 MiB.
constexpr std::uint32_t most_metrics_tenants = 500;
constexpr std::uint32_t most_clients = 10'000'000;
constexpr std::uint64_t least_memory = std::uint64_t{64} << 20;

void read_names(const maybe_value& list, std::vector<std::string>& into) {
  if (!list || !list->is_list()) return;
  list->for_each([&](const yaml_value& item) {
    const auto name = item.text();
    if (!name) return;
    if (const auto problem = identifier_problem(*name)) return item.error(*problem);
    into.emplace_back(*name);
  });
}

// What `certificate` and `key` say where `in` has both.
void read_certificate(const yaml_value& in, bool is_needed, listen_settings& door) {
  const auto certificate = in.find("certificate");
  const auto key = in.find("key");
  if (!certificate && (is_needed || key)) in.error_missing("certificate", "write the server certificate's file");
  if (!key && (is_needed || certificate)) in.error_missing("key", "write the file with the certificate's private key");
  if (!certificate || !key) return;
  auto& files = door.tls_certificates.emplace_back();
  read_path(certificate, files.certificate);
  read_path(key, files.key);
}

void read_door_tls(const yaml_value& tls, listen_settings& door) {
  if (!tls.is_mapping()) return;
  using enum listen_tls_mode;
  if (const auto mode = tls.find("mode")) {
    door.tls = mode->choice<listen_tls_mode>({{"off", off}, {"allow", allow}, {"require", require}, {"verify", verify}})
                   .value_or(off);
  }
  read_certificate(tls, door.tls != off, door);
  if (const auto more = tls.find("certificates"); more && more->is_list()) {
    more->for_each([&](const yaml_value& item) {
      if (item.is_mapping()) read_certificate(item, true, door);
    });
  }
  read_path(tls.find("client_ca"), door.tls_client_ca);
  if (door.tls == verify && !tls.find("client_ca")) {
    tls.error_missing("client_ca", "write the file of the authorities that client certificates must come from");
  }
}

void read_door_address(const yaml_value& value, listen_settings& door) {
  const auto text = value.text();
  if (!text) return;
  if (text->starts_with(':') && parse_port(text->substr(1)))
    return value.error(in_quotes(*text) + " names no host; write *" + std::string(*text) + " for every address");
  auto parsed = parse_address(*text);
  if (!parsed) return value.error(parsed.error());
  if (parsed->host.starts_with('/'))
    return value.error("a socket's folder is no address; write unix: " + std::string(*text));
  door.address = std::move(parsed->host);
  door.port = parsed->port.value_or(door.port);
}

listen_settings read_door(const yaml_value& value) {
  listen_settings door;
  if (!value.is_mapping()) return door;
  const auto address = value.find("address");
  const auto folder = value.find("unix");
  const auto port = value.find("port");
  const auto tls = value.find("tls");
  if (address && folder) {
    folder->error_at_key("an entry is either an address or a Unix socket; give each its own entry");
  } else if (!address && !folder) {
    value.error("needs an address or unix; write address: 127.0.0.1:6432, or unix: /run/pglodge");
  }
  if (address) read_door_address(*address, door);
  read_path(folder, door.unix_folder);
  if (port) {
    if (!folder) {
      port->error_at_key("belongs to unix; write an address's port into it, as host:port");
    } else if (const auto number = port->integer(1, 65535)) {
      door.port = static_cast<std::uint16_t>(*number);
    }
  }
  if (tls && folder) tls->error_at_key("has no meaning for a Unix socket; remove it");
  if (tls && !folder) read_door_tls(*tls, door);
  return door;
}

void read_listen(const yaml_value& root, daemon_settings& settings) {
  const auto listen = root.find("listen");
  if (!listen)
    return root.error_missing("listen", "write at least one entry, such as listen: [{ address: 127.0.0.1:6432 }]");
  if (!listen->is_list("[{ address: 127.0.0.1:6432 }]")) return;
  if (listen->size() == 0)
    return listen->error("is empty; write at least one entry, such as { address: 127.0.0.1:6432 }");
  listen->for_each([&](const yaml_value& item) {
    listen_settings door = read_door(item);
    const auto in_its_way = [&](const listen_settings& other) {
      if (other.port != door.port || other.unix_folder != door.unix_folder) return false;
      return !door.unix_folder.empty() || exclude_each_other(other.address, door.address);
    };
    const bool is_read = !door.address.empty() || !door.unix_folder.empty();
    if (is_read && std::ranges::any_of(settings.listen, in_its_way))
      item.error("listens where an entry above does; remove one of them");
    settings.listen.push_back(std::move(door));
  });
}

void read_workers(const yaml_value& value, daemon_settings& settings) {
  const auto text = value.text();
  if (!text || *text == "auto") return;
  if (text->find_first_of("0123456789") != 0) {
    return value.error(in_quotes(*text) + " is neither auto nor a number; write auto, or 1 to " +
                       std::to_string(most_workers));
  }
  settings.workers = value.integer(1, most_workers);
}

// As it was written, of what must name both.
std::optional<std::string> read_host_and_port(const yaml_value& value, std::string_view example) {
  const auto text = value.text();
  if (!text) return std::nullopt;
  const auto parsed = parse_address(*text);
  if (!parsed) {
    value.error(parsed.error());
  } else if (!parsed->port || parsed->host.starts_with('/')) {
    value.error(in_quotes(*text) + " names no port; write host:port, such as " + std::string(example));
  } else {
    return std::string(*text);
  }
  return std::nullopt;
}

void read_peers(const yaml_value& peers, daemon_settings& settings) {
  if (!peers.is_list("[lodge2.internal:6432]")) return;
  peers.for_each([&](const yaml_value& item) {
    const auto peer = read_host_and_port(item, "lodge2.internal:6432");
    if (peer) settings.peers.push_back(*peer);
  });
}

void read_admin(const yaml_value& admin, admin_settings& into) {
  if (!admin.is_mapping()) return;
  read_names(admin.find("users"), into.users);
  read_names(admin.find("stats_users"), into.stats_users);
  if (const auto most = admin.find("metrics_tenants")) {
    into.metrics_tenants = most->integer(0, most_metrics_tenants).value_or(into.metrics_tenants);
  }
  if (const auto period = admin.find("stats_period")) {
    into.stats_period = period->duration(yaml_value::zero::refused).value_or(into.stats_period);
  }
  if (const auto http = admin.find("http")) into.http = read_host_and_port(*http, "127.0.0.1:9632").value_or("");
}

// The page would not open, and the daemon not start.
void check_http(const yaml_value& http, const daemon_settings& settings) {
  const auto where = parse_address(settings.admin.http);
  if (!where) return;
  const auto in_its_way = [&](const listen_settings& door) {
    return door.unix_folder.empty() && door.port == where->port && exclude_each_other(door.address, where->host);
  };
  if (std::ranges::any_of(settings.listen, in_its_way)) {
    http.error(in_quotes(settings.admin.http) + " is where an entry of listen is; write another port");
  }
}

void read_log(const yaml_value& log, log_settings& into) {
  if (!log.is_mapping()) return;
  if (const auto level = log.find("level")) {
    using sv = std::string_view;
    into.level =
        level
            ->choice<sv>(
                {{"trace", "trace"}, {"debug", "debug"}, {"info", "info"}, {"warn", "warn"}, {"error", "error"}})
            .value_or("info");
  }
  if (const auto format = log.find("format")) {
    into.format =
        format->choice<log_format>({{"text", log_format::text}, {"json", log_format::json}}).value_or(into.format);
  }
}

void read_resources(const yaml_value& resources, resource_settings& into) {
  if (!resources.is_mapping()) return;
  if (const auto clients = resources.find("clients")) into.clients = clients->integer(1, most_clients);
  const auto memory = resources.find("memory");
  if (!memory) return;
  into.memory = memory->bytes();
  if (into.memory && *into.memory < least_memory) memory->error("a lodge takes more than that; write 64MiB or more");
}

void read_usage(const yaml_value& usage, usage_settings& into) {
  if (!usage.is_mapping()) return;
  if (!usage.find("ledger")) usage.error_missing("ledger", "write the folder for its files, such as ledger: usage");
  read_path(usage.find("ledger"), into.ledger);
  if (const auto interval = usage.find("interval"))
    into.interval = interval->duration(yaml_value::zero::refused).value_or(into.interval);
  if (const auto keep = usage.find("keep_days"))
    into.keep_days = keep->integer(0, most_keep_days).value_or(into.keep_days);
}

void read_timeouts(const yaml_value& timeouts, timeout_settings& into) {
  if (!timeouts.is_mapping()) return;
  const auto read = [&](std::string_view key, yaml_value::zero zero, timeout_settings::ms& value) {
    if (const auto found = timeouts.find(key)) value = found->duration(zero).value_or(value);
  };
  using enum yaml_value::zero;
  read("startup", refused, into.startup);
  read("connect", refused, into.connect);
  read("idle", allowed, into.idle);
  read("server_idle", allowed, into.server_idle);
  read("server_lifetime", allowed, into.server_lifetime);
  read("query_wait", refused, into.query_wait);
  read("query_wait_notify", allowed, into.query_wait_notify);
  read("drain", refused, into.drain);
  read("unready", allowed, into.unready);
  read("upgrade", allowed, into.upgrade);
}

}  // namespace

std::string_view to_string(io_method method) {
  switch (method) {
    case io_method::automatic: return "auto";
    case io_method::epoll: return "epoll";
    case io_method::io_uring: return "io_uring";
  }
  return "";
}

std::string_view to_string(auth_method method) {
  switch (method) {
    case auth_method::trust: return "trust";
    case auth_method::password: return "password";
    case auth_method::md5: return "md5";
    case auth_method::scram_sha_256: return "scram-sha-256";
    case auth_method::cert: return "cert";
    case auth_method::passthrough: return "passthrough";
    case auth_method::reject: return "reject";
  }
  return {};
}

daemon_settings read_daemon_file(const yaml_value& root) {
  daemon_settings settings;
  if (!root.is_mapping()) return settings;
  read_listen(root, settings);
  if (root.find("routes")) {
    read_path(root.find("routes"), settings.routes);
  } else {
    root.error_missing("routes", "write the routing table's file, such as routes: routes.yaml");
  }
  if (const auto workers = root.find("workers")) read_workers(*workers, settings);
  if (const auto io = root.find("io_method")) {
    const auto chosen = io->choice<io_method>(
        {{"auto", io_method::automatic}, {"epoll", io_method::epoll}, {"io_uring", io_method::io_uring}});
    settings.io = chosen.value_or(settings.io);
  }
  if (const auto auth = root.find("auth")) {
    read_auth(*auth, settings.auth);
    look_for_client_ca(*auth, settings);
  }
  if (const auto admin = root.find("admin")) {
    read_admin(*admin, settings.admin);
    if (!settings.admin.http.empty()) check_http(*admin->find("http"), settings);
  }
  if (const auto peers = root.find("peers")) read_peers(*peers, settings);
  if (const auto log = root.find("log")) read_log(*log, settings.log);
  if (const auto resources = root.find("resources")) read_resources(*resources, settings.resources);
  if (const auto usage = root.find("usage")) read_usage(*usage, settings.usage);
  if (const auto timeouts = root.find("timeouts")) read_timeouts(*timeouts, settings.timeouts);
  return settings;
}

std::vector<std::string_view> changed_keys(const daemon_settings& was, const daemon_settings& now) {
  std::vector<std::string_view> keys;
  const auto compare = [&](std::string_view key, const auto& before, const auto& after) {
    if (!(before == after)) keys.push_back(key);
  };
  compare("listen", was.listen, now.listen);
  compare("routes", was.routes, now.routes);
  compare("workers", was.workers, now.workers);
  compare("io_method", was.io, now.io);
  compare("auth", was.auth, now.auth);
  compare("admin", was.admin, now.admin);
  compare("peers", was.peers, now.peers);
  compare("log", was.log, now.log);
  compare("resources", was.resources, now.resources);
  compare("usage", was.usage, now.usage);
  compare("timeouts", was.timeouts, now.timeouts);
  return keys;
}

}  // namespace conf
