#include "conf/daemon_file.hpp"

#include <catch2/catch.hpp>

#include "tests/conf/tools.hpp"

namespace daemon_file_test {

using namespace std::chrono_literals;

namespace {

conf::daemon_settings read(const std::string& text) {
  const auto got = tests::read_daemon(tests::with_door(text));
  CHECK(got.errors.empty());
  return got.parts;
}

}  // namespace

TEST_CASE("what is not written has its default", "[daemon]") {
  const auto settings = read("");
  REQUIRE(settings.listen.size() == 1);
  CHECK(settings.listen[0].address == "a");
  CHECK(settings.listen[0].port == 6432);
  CHECK(settings.listen[0].tls == conf::listen_tls_mode::off);
  CHECK(settings.routes == "/etc/pglodge/r.yaml");
  CHECK_FALSE(settings.workers);
  CHECK(settings.auth.method == conf::auth_method::passthrough);
  CHECK(settings.log.level == "info");
  CHECK(settings.log.format == conf::log_format::text);
  CHECK(settings.usage.ledger.empty());
  CHECK(settings.timeouts.startup == 15s);
  CHECK(settings.timeouts.connect == 5s);
  CHECK(settings.timeouts.idle == 0s);
  CHECK(settings.timeouts.server_idle == 10min);
  CHECK(settings.timeouts.server_lifetime == 1h);
  CHECK(settings.timeouts.query_wait == 30s);
  CHECK(settings.timeouts.query_wait_notify == 5s);
  CHECK(settings.admin.stats_period == 60s);
  CHECK(settings.timeouts.drain == 60s);
}

TEST_CASE("doors", "[daemon]") {
  const auto settings = read(
      "listen:\n"
      "  - address: '[::1]:7000'\n"
      "    tls: { mode: verify, certificate: s.crt, key: /abs/s.key, client_ca: ca.crt }\n"
      "  - address: '*:6433'\n"
      "  - address: 0.0.0.0\n"
      "  - { unix: /run/pglodge, port: 7001 }\n"
      "  - unix: sockets\n");
  REQUIRE(settings.listen.size() == 5);
  CHECK(settings.listen[0].address == "::1");
  CHECK(settings.listen[0].port == 7000);
  CHECK(settings.listen[0].tls == conf::listen_tls_mode::verify);
  REQUIRE(settings.listen[0].tls_certificates.size() == 1);
  CHECK(settings.listen[0].tls_certificates[0].certificate == "/etc/pglodge/s.crt");
  CHECK(settings.listen[0].tls_certificates[0].key == "/abs/s.key");
  CHECK(settings.listen[0].tls_client_ca == "/etc/pglodge/ca.crt");
  CHECK(settings.listen[1].address == "*");
  CHECK(settings.listen[2].port == 6432);
  CHECK(settings.listen[3].unix_folder == "/run/pglodge");
  CHECK(settings.listen[3].port == 7001);
  CHECK(settings.listen[3].address.empty());
  CHECK(settings.listen[4].unix_folder == "/etc/pglodge/sockets");
}

TEST_CASE("doors that stand side by side", "[daemon]") {
  const auto settings = read(
      "listen:\n"
      "  - address: '0.0.0.0:5'\n"
      "  - address: '[::]:5'\n"
      "  - address: '127.0.0.1:6'\n"
      "  - address: '[::1]:6'\n"
      "  - address: 'lodge.internal:6'\n"
      "  - address: '127.0.0.2:6'\n"
      "  - { unix: /run/pglodge, port: 5 }\n"
      "  - { unix: /run/other, port: 5 }\n"
      "admin: { http: '127.0.0.1:7' }\n");
  CHECK(settings.listen.size() == 8);
}

TEST_CASE("workers", "[daemon]") {
  CHECK_FALSE(read("workers: auto").workers);
  CHECK(read("workers: 1").workers == 1u);
  CHECK(read("workers: 1024").workers == 1024u);
}

TEST_CASE("authentication", "[daemon]") {
  using conf::auth_method;
  CHECK(read("auth: { method: trust }").auth.method == auth_method::trust);
  CHECK(read("auth: {}").auth.method == auth_method::passthrough);
  CHECK(read("auth: { users: users.txt }").auth.method == auth_method::scram_sha_256);
  CHECK(read("auth: { method: md5, users: users.txt }").auth.method == auth_method::md5);
  const auto auth = read(
                        "auth: { query: { database: shared, user: u, sql: \"SELECT $1, NULL\" },\n"
                        "        rules: [{ tls: on, address: 10.0.0.0/8, database: d, role: r, tenant: t, method: cert "
                        "}, { method: trust }] }")
                        .auth;
  CHECK(auth.method == auth_method::scram_sha_256);
  REQUIRE(auth.query);
  CHECK(auth.query->sql == "SELECT $1, NULL");
  REQUIRE(auth.rules.size() == 2);
  CHECK(auth.rules[0].tls == true);
  CHECK(auth.rules[0].from == conf::auth_rule::origin::network);
  CHECK(to_string(auth.rules[0].network) == "10.0.0.0/8");
  CHECK(auth.rules[0].method == auth_method::cert);
  CHECK_FALSE(auth.rules[1].tls);
  for (const auto method : {auth_method::trust, auth_method::password, auth_method::md5, auth_method::scram_sha_256,
                            auth_method::cert, auth_method::passthrough}) {
    CHECK_FALSE(conf::to_string(method).empty());
  }
}

TEST_CASE("certificates: one for whoever comes, more by name", "[daemon]") {
  const auto door = read(
                        "listen: [{ address: a, tls: { mode: require, certificate: c, key: k,\n"
                        "  certificates: [{ certificate: /d, key: /e }] } }]")
                        .listen.front();
  REQUIRE(door.tls_certificates.size() == 2);
  CHECK(door.tls_certificates[0].certificate == "/etc/pglodge/c");
  CHECK(door.tls_certificates[1].key == "/e");
}

TEST_CASE("where a rule's client comes from", "[daemon]") {
  using origin = conf::auth_rule::origin;
  const auto from = [](const std::string& address) {
    return read("auth: { rules: [{ " + address + " method: reject }] }").auth.rules.front();
  };
  CHECK(from("").from == origin::anywhere);
  CHECK(from("address: unix,").from == origin::unix_socket);
  CHECK(from("address: '::1',").from == origin::network);
  CHECK(from("").method == conf::auth_method::reject);
}

TEST_CASE("the rest of the daemon's file", "[daemon]") {
  const auto settings = read(
      "admin: { users: [postgres], stats_users: [], http: '127.0.0.1:9632', metrics_tenants: 7, stats_period: 1s }\n"
      "log: { level: debug, format: json }\n"
      "timeouts: { startup: 1s, connect: 500ms, idle: 1h, server_idle: 0, server_lifetime: 0s, query_wait: 2m, "
      "query_wait_notify: 0, drain: 1ms, unready: 2s, upgrade: 0 }\n"
      "peers: ['lodge2:6432', '[::1]:6433']\n"
      "resources: { clients: 100, memory: 64MiB }\n");
  CHECK(settings.resources.clients == 100U);
  CHECK(settings.resources.memory == 67'108'864U);
  CHECK_FALSE(read("").resources.memory);
  CHECK(settings.timeouts.unready == 2s);
  CHECK(settings.timeouts.upgrade == 0s);
  CHECK(settings.peers == std::vector<std::string>{"lodge2:6432", "[::1]:6433"});
  CHECK(settings.admin.users == std::vector<std::string>{"postgres"});
  CHECK(settings.admin.stats_users.empty());
  CHECK(settings.admin.http == "127.0.0.1:9632");
  CHECK(settings.admin.metrics_tenants == 7);
  CHECK(settings.admin.stats_period == 1s);
  CHECK(settings.timeouts.query_wait_notify == 0s);
  CHECK(settings.log.level == "debug");
  CHECK(settings.log.format == conf::log_format::json);
  CHECK(settings.timeouts.connect == 500ms);
  CHECK(settings.timeouts.idle == 1h);
  CHECK(settings.timeouts.server_idle == 0s);
  CHECK(settings.timeouts.drain == 1ms);
}

TEST_CASE("the usage ledger", "[daemon]") {
  const auto usage = read("usage: { ledger: usage }").usage;
  CHECK(usage.ledger == "/etc/pglodge/usage");
  CHECK(usage.interval == 60s);
  CHECK(usage.keep_days == 400);
  CHECK(read("usage: { ledger: /var/u, interval: 5m, keep_days: 0 }").usage.interval == 5min);
  CHECK(read("usage: { ledger: /var/u, keep_days: 0 }").usage.keep_days == 0);
}

TEST_CASE("warnings of what can let nobody in", "[daemon]") {
  const auto warnings = [](const std::string& text) { return tests::read_daemon(tests::with_door(text)).warnings; };
  const std::vector<std::string> no_ca{
      "pglodge.yaml:1:7: auth: the method cert lets nobody in: no door has a tls.client_ca, by which it asks for "
      "certificates"};
  CHECK(warnings("auth: { method: cert }") == no_ca);
  CHECK(warnings("auth: { rules: [{ method: cert }] }") == no_ca);
  CHECK(
      warnings("auth: { method: cert }\nlisten: [{ address: a, tls: { mode: allow, certificate: c, key: k, client_ca: "
               "d } }]")
          .empty());
  CHECK(warnings("auth: { query: { database: d, user: u, sql: \"SELECT a, b FROM c\" } }") ==
        std::vector<std::string>{"pglodge.yaml:1:45: auth.query.sql: does not ask for the role, $1; a statement that "
                                 "gives others' secrets lets nobody in"});
  CHECK(warnings("auth: { query: { database: d, user: u, sql: \"SELECT $1, NULL\" } }").empty());
}

TEST_CASE("keys that have no effect yet are named in one line, sorted, and only those", "[daemon]") {
  const auto warnings = [](const std::string& text) { return tests::read_daemon(tests::with_door(text)).warnings; };
  CHECK(warnings("listen: [{ address: a, tls: { mode: require, certificate: c, key: k } }]\nworkers: 2\n"
                 "auth: { method: md5, users: u, rules: [{ method: reject }] }\nlog: { level: info }\n"
                 "timeouts: { startup: 1s, connect: 1s, query_wait: 1s, drain: 1s }")
            .empty());
  CHECK(warnings("timeouts: { idle: 0 }\nadmin: { http: 'a:1', users: [x] }\n").empty());
}

TEST_CASE("of two files, the keys whose settings differ", "[daemon]") {
  using keys = std::vector<std::string_view>;
  const auto was = read("");
  CHECK(conf::changed_keys(was, read("timeouts: { idle: 0 }\nadmin: {}\n")).empty());
  const auto now = read(
      "workers: 2\nio_method: epoll\nauth: { method: trust }\nadmin: { users: [dba] }\npeers: [b:1]\n"
      "log: { level: debug }\nresources: { clients: 5 }\nusage: { ledger: u }\ntimeouts: { idle: 1s }\n");
  CHECK(conf::changed_keys(was, now) ==
        keys{"workers", "io_method", "auth", "admin", "peers", "log", "resources", "usage", "timeouts"});
  auto moved = was;
  moved.listen[0].port = 1;
  moved.routes = "/r.yaml";
  CHECK(conf::changed_keys(was, moved) == keys{"listen", "routes"});
}

}  // namespace daemon_file_test
