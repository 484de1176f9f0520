#include "conf/routes_file.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/conf/tools.hpp"

namespace routes_file_test {

using namespace std::chrono_literals;

namespace {

routing::table_parts read(const std::string& text) {
  const auto got = tests::read_routes(tests::with_places(text));
  const std::vector<std::string> none;
  CHECK(got.errors == none);
  return got.parts;
}

const routing::rule& rule_of(const routing::table_parts& parts, std::string_view id) {
  const auto found = std::ranges::find(parts.tenants, id, [](const auto& one) { return one.first; });
  REQUIRE(found != parts.tenants.end());
  return found->second;
}

}  // namespace

TEST_CASE("hints keep their order", "[routes]") {
  using enum routing::hint_source;
  const auto hints = read(
                         "hints:\n"
                         "  - startup: app.tenant\n"
                         "  - user: \"{role}.{tenant}\"\n"
                         "  - user: \"{tenant}\"\n"
                         "  - database: \"{dbname}@{tenant}\"\n"
                         "  - sni: \"{tenant}.db.example.com\"\n"
                         "  - certificate: san\n"
                         "  - variable: app.tenant\n"
                         "  - search_path: \"tenant_{tenant}\"\n")
                         .hints;
  REQUIRE(hints.size() == 8);
  CHECK((hints[0].source == startup && hints[0].name == "app.tenant"));
  CHECK((hints[1].source == user && hints[1].pattern->text() == "{role}.{tenant}"));
  CHECK((hints[3].source == database && hints[3].pattern->has("dbname")));
  CHECK((hints[5].source == certificate && hints[5].name == "san"));
  CHECK((hints[6].source == variable && hints[6].name == "app.tenant"));
  CHECK(hints[7].source == search_path);
}

TEST_CASE("servers", "[routes]") {
  const auto servers =
      read(
          "servers:\n"
          "  main:\n"
          "    hosts: [pg1.internal, 'pg2.internal:5433', '[::1]:5434', '/run/postgresql:5435', /run/postgresql]\n"
          "    replicas: [pg3.internal]\n"
          "    tls: { mode: verify-full, ca: ca.crt, certificate: c.crt, key: /abs/c.key }\n"
          "    user: pglodge\n"
          "    password_file: main.password\n"
          "    max_connections: 200\n")
          .servers;
  const auto& main = *servers.at("main");
  CHECK(main.name == "main");
  CHECK(main.hosts == std::vector<routing::host>{{"pg1.internal", 5432},
                                                 {"pg2.internal", 5433},
                                                 {"::1", 5434},
                                                 {"/run/postgresql", 5435},
                                                 {"/run/postgresql", 5432}});
  CHECK(main.replicas == std::vector<routing::host>{{"pg3.internal", 5432}});
  CHECK(main.tls == routing::tls_mode::verify_full);
  CHECK(main.tls_ca == "/etc/pglodge/ca.crt");
  CHECK(main.tls_key == "/abs/c.key");
  CHECK(main.user == "pglodge");
  CHECK(main.password_file == "/etc/pglodge/main.password");
  CHECK(main.max_connections == 200u);
}

TEST_CASE("databases", "[routes]") {
  const auto parts = read(
      "databases:\n"
      "  shared: { server: main, dbname: saas, pool: { mode: session, size: 40 } }\n"
      "  own: { server: main, dbname: \"crm_{tenant}\" }\n"
      "  theirs: { server: main, dbname: null }\n"
      "  plain: { server: main }\n");
  const auto& shared = *parts.databases.at("shared");
  CHECK(shared.server == parts.servers.at("main"));
  CHECK(shared.dbname->text() == "saas");
  CHECK(shared.mode == routing::pool_mode::session);
  CHECK(shared.pool_size == 40u);
  CHECK(parts.databases.at("own")->dbname->has("tenant"));
  CHECK_FALSE(parts.databases.at("theirs")->dbname);
  CHECK_FALSE(parts.databases.at("plain")->dbname);
}

TEST_CASE("limits that a database's or a role's sessions share", "[routes]") {
  const auto parts = read(
      "databases:\n"
      "  shared: { server: main, limits: { clients: 500, query_time: 30s } }\n"
      "  plain: { server: main, limits: {} }\n"
      "roles:\n"
      "  reporting: { limits: { clients: 20, queries_per_second: 50, burst: 60, bytes_per_second: 1MiB,\n"
      "                         query_time: 5m, transaction_time: 0, idle_in_transaction: 1s } }\n"
      "  app: {}\n");
  CHECK(*parts.databases.at("shared")->limits ==
        routing::shared_limits{routing::sharer::database, "shared", {.clients = 500, .query_time = 30s}});
  CHECK(parts.databases.at("plain")->limits == nullptr);
  REQUIRE(parts.roles.size() == 1);
  CHECK(*parts.roles.at("reporting") == routing::shared_limits{routing::sharer::role,
                                                               "reporting",
                                                               {.clients = 20,
                                                                .queries_per_second = 50,
                                                                .burst = 60,
                                                                .bytes_per_second = 1024 * 1024,
                                                                .query_time = 5min,
                                                                .transaction_time = 0ms,
                                                                .idle_in_transaction = 1s}});
}

TEST_CASE("a tenant says only what it says", "[routes]") {
  const auto parts = read(
      "tenants:\n"
      "  nothing:\n"
      "  empty: {}\n"
      "  none: { schema: null, role: null, search_path: null, users: null }\n"
      "  all:\n"
      "    database: shared\n"
      "    schema: \"s_{tenant}\"\n"
      "    role: r\n"
      "    settings: { app.id: 42, a.b: true, work_mem: 4MB, quoted: \"x y\", empty: \"\", t.t: \"{tenant}\" }\n"
      "    users: [app, \"other one\"]\n"
      "    guard: off\n"
      "    pool: session\n"
      "    state: suspended\n"
      "    message: call us\n"
      "    limits: { clients: 1, connections: 2, min_connections: 0, weight: 3, queries_per_second: 4, burst: 5,\n"
      "              bytes_per_second: 64KiB, query_time: 0, transaction_time: 1s, idle_in_transaction: 2s, wait: 3s, "
      "              log_min_duration_statement: 0 }\n"
      "  \"trial-*\": { search_path: [a, public] }\n"
      "  \"*\": {}\n");
  CHECK(rule_of(parts, "nothing") == routing::rule{});
  CHECK(rule_of(parts, "empty") == routing::rule{});
  const auto& none = rule_of(parts, "none");
  CHECK((none.schema && !*none.schema));
  CHECK((none.role && !*none.role));
  CHECK((none.search_path && none.search_path->empty()));
  CHECK((none.users && none.users->empty()));
  const auto& all = rule_of(parts, "all");
  CHECK(all.database == parts.databases.at("shared"));
  CHECK((*all.schema)->fill("x") == "s_x");
  CHECK((*all.role)->text() == "r");
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& [name, value] : *all.settings) settings.emplace_back(name, value.fill("acme"));
  CHECK(settings ==
        std::vector<std::pair<std::string, std::string>>{
            {"app.id", "42"}, {"a.b", "true"}, {"work_mem", "4MB"}, {"quoted", "x y"}, {"empty", ""}, {"t.t", "acme"}});
  CHECK(*all.users == std::vector<std::string>{"app", "other one"});
  CHECK(all.guard == false);
  CHECK(all.pool == routing::pool_mode::session);
  CHECK(all.state == routing::tenant_state::suspended);
  CHECK(all.message == "call us");
  CHECK(all.limits.clients == 1u);
  CHECK(all.limits.connections == 2u);
  CHECK(all.limits.min_connections == 0u);
  CHECK(all.limits.weight == 3u);
  CHECK(all.limits.queries_per_second == 4u);
  CHECK(all.limits.burst == 5u);
  CHECK(all.limits.bytes_per_second == 65536u);
  CHECK(all.limits.query_time == 0ms);
  CHECK(all.limits.transaction_time == 1s);
  CHECK(all.limits.idle_in_transaction == 2s);
  CHECK(all.limits.wait == 3s);
  CHECK(all.limits.log_min_duration_statement == 0ms);
  CHECK(rule_of(parts, "trial-*").search_path->size() == 2);
}

TEST_CASE("switches are on, off, true and false", "[routes]") {
  for (const auto& [word, value] : {std::pair{"on", true}, {"true", true}, {"off", false}, {"false", false}}) {
    CHECK(rule_of(read(std::string("tenants: { a: { guard: ") + word + " } }"), "a").guard == value);
  }
}

TEST_CASE("who is unknown, and who names no tenant", "[routes]") {
  const auto parts = read(
      "unknown_tenants: default\n"
      "no_tenant: { action: route, route: { database: shared, schema: public, settings: { a.b: c } } }\n");
  CHECK(parts.unknown == routing::unknown_tenants::use_defaults);
  CHECK(parts.no_tenant == routing::no_tenant_action::route);
  CHECK(parts.no_tenant_route.database == parts.databases.at("shared"));
  CHECK(read("no_tenant: {}").no_tenant == routing::no_tenant_action::reject);
  CHECK(read("hints: [{ variable: app.tenant }]\nno_tenant: { action: wait }").no_tenant ==
        routing::no_tenant_action::wait);
  const std::string waits = "no_tenant: { action: wait }\nhints: [{ variable: app.tenant }]\ntenants: {}\n";
  CHECK(tests::read_routes(waits).errors ==
        std::vector<std::string>{"routes.yaml:1:22: no_tenant.action: needs defaults.database, which tells the session "
                                 "its parameters meanwhile; write it, or another action"});
  CHECK(
      tests::read_routes(waits +
                         "servers: { m: { hosts: [a] } }\ndatabases: { d: { server: m, dbname: \"d_{tenant}\" } "
                         "}\ndefaults: { database: d }\n")
          .errors ==
      std::vector<std::string>{
          "routes.yaml:1:22: no_tenant.action: the database of `defaults` tells the session its parameters meanwhile, "
          "and has {tenant} in its dbname; write one there without, or another action"});
  // Without tenants, somebody must be able to enter all the same.
  CHECK(tests::read_routes("servers: { m: { hosts: [a] } }\ndatabases: { d: { server: m } }\n").errors ==
        std::vector<std::string>{
            "routes.yaml:1:1: tenants: missing; write who lives where, or {} if nobody shall as yet"});
  CHECK(tests::read_routes("servers: { m: { hosts: [a] } }\ndatabases: { d: { server: m } }\n"
                           "defaults: { database: d }\nunknown_tenants: default\n")
            .errors.empty());
  CHECK(tests::read_routes("tenants: {}\n").errors.empty());
}

TEST_CASE("files that are no table at all", "[routes]") {
  using list = std::vector<std::string>;
  CHECK(tests::read_routes("").errors ==
        list{"routes.yaml:1:1: the file is empty; write at least servers, databases and tenants"});
  CHECK(tests::read_routes("just text\n").errors ==
        list{"routes.yaml:1:1: expected a mapping of keys and values, not \"just text\""});
  CHECK(tests::read_routes("- a list\n").errors ==
        list{"routes.yaml:1:1: expected a mapping of keys and values, not a list"});
}

TEST_CASE("an alias stands for what it names, and its errors for themselves", "[routes]") {
  const auto parts = read("tenants:\n  a: &small { users: [app] }\n  b: *small\n");
  CHECK(rule_of(parts, "a") == rule_of(parts, "b"));
  CHECK(tests::read_routes(tests::with_places("tenants:\n  a: &small { usrs: [app] }\n  b: *small\n")).errors ==
        std::vector<std::string>{"routes.yaml:2:15: tenants.a.usrs: unknown key; did you mean \"users\"?",
                                 "routes.yaml:2:15: tenants.b.usrs: unknown key; did you mean \"users\"?"});
}

TEST_CASE("names made from templates have PostgreSQL's limit", "[routes]") {
  const std::string id(57, 'x');  // tenant_ and 56 fit
  const auto errors = [&](const std::string& tenant) {
    return tests::read_routes(
               tests::with_places("defaults: { database: shared, schema: \"tenant_{tenant}\" }\n" + tenant))
        .errors;
  };
  CHECK(errors("tenants: { " + id.substr(1) + ": {} }").empty());
  CHECK(errors("tenants: { " + id + ": {} }").size() == 1);
  CHECK(errors("tenants: { " + id + ": { schema: null } }").empty());
  CHECK(errors("tenants: { " + id + ": { schema: short } }").empty());
  CHECK(errors("tenants: { " + id + ": { search_path: [\"{tenant}\"] } }").empty());
  CHECK(errors("tenants: { " + id + ": { schema: null, role: \"tenant_{tenant}\" } }").size() == 1);
}

TEST_CASE("a schema may be the tenant's id, unless that could make it $user", "[routes]") {
  const auto errors = [](const std::string& schema) {
    return tests::read_routes(tests::with_places("tenants: { a: { schema: \"" + schema + "\" } }")).errors.size();
  };
  CHECK(errors("{tenant}") == 0);
  CHECK(errors("x${tenant}") == 0);
  CHECK(errors("$usr{tenant}") == 0);
  CHECK(errors("$u{tenant}") == 1);
  CHECK(errors("${tenant}r") == 1);
  CHECK(errors("$user") == 1);
}

TEST_CASE("however many errors there are, the report ends", "[routes]") {
  std::string text = "tenants:\n";
  for (int i = 0; i < 5000; ++i) text += "  t" + std::to_string(i) + ": { databse: shared }\n";
  const auto errors = tests::read_routes(tests::with_places(text)).errors;
  CHECK(errors.size() == conf::report::most_errors + 1);
  CHECK(errors.back() == "and 4000 more errors; mend these first");
}

}  // namespace routes_file_test
