// From PgBouncer's settings to two files: what they say, what is said about them, and that they can be read.
#include "conf/pgbouncer_import.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <ranges>

#include "conf/pgbouncer_settings.hpp"
#include "conf/yaml_writer.hpp"
#include "tests/conf/tools.hpp"

namespace pgbouncer_import_test {

namespace {

using lines = std::vector<std::string>;

conf::imported import(const std::string& ini, const std::string& hba = {}) {
  const auto none = [](const std::string&) -> std::expected<std::string, std::string> {
    return std::unexpected("none");
  };
  const auto reading = conf::read_pgbouncer_ini(ini, "p.ini", none);
  REQUIRE(reading.errors.empty());
  auto made = conf::import_pgbouncer(
      reading.entries,
      {.folder = "/etc/pgbouncer",
       .read = [&](const std::filesystem::path&) -> std::expected<std::string, std::string> {
         if (hba.empty()) return std::unexpected("No such file or directory");
         return hba;
       },
       .password_of = [](const std::filesystem::path& users, std::string_view role) -> std::optional<std::string> {
         if (users == "/etc/pgbouncer/users.txt" && role == "known") return "from the users file";
         return std::nullopt;
       }});
  CHECK(made.files.empty() == !made.errors.empty());
  if (made.errors.empty()) {
    INFO(made.files[0].text << made.files[1].text);
    CHECK(tests::read_daemon(made.files[0].text).errors == lines{});
    CHECK(tests::read_routes(made.files[1].text).errors == lines{});
  }
  return made;
}

// One database and a door, which most need.
conf::imported import_settings(const std::string& settings, const std::string& hba = {}) {
  return import("[databases]\ncrm = host=pg1\n[pgbouncer]\n" + settings, hba);
}

conf::daemon_settings daemon_of(const conf::imported& made) {
  REQUIRE(made.errors == lines{});
  return tests::read_daemon(made.files.at(0).text).parts;
}

routing::route_table table_of(const conf::imported& made) {
  REQUIRE(made.errors == lines{});
  return routing::route_table(tests::read_routes(made.files.at(1).text).parts);
}

routing::route route_of(const conf::imported& made, std::string database) {
  const auto table = table_of(made);
  const auto who = routing::identify(table.parts().hints, {.user = "app", .database = std::move(database)});
  REQUIRE(who);
  auto route = table.resolve(*who);
  REQUIRE(route);
  return *route;
}

bool says(const lines& all, const std::string& start) {
  return std::ranges::any_of(all, [&](const std::string& one) { return one.starts_with(start); });
}

}  // namespace

TEST_CASE("import: each database is a tenant with a place of its own") {
  const auto made = import(
      "[pgbouncer]\npool_mode = transaction\n"
      "[databases]\n"
      "crm = host=pg1 pool_size=7\n"
      "shop = host=10.0.0.1,2001:db8::1,10.0.0.1 port=5433 dbname=shop{1} pool_mode=session\n"
      "local = user=known timezone=UTC application_name='a {b}'\n");
  const auto crm = route_of(made, "crm");
  CHECK(crm.server->hosts == std::vector<routing::host>{{"pg1", 5432}});
  CHECK(crm.server->tls == routing::tls_mode::prefer);
  CHECK(crm.dbname == "crm");
  CHECK(crm.pool == routing::pool_mode::transaction);
  CHECK(crm.pool_size == 7);
  CHECK_FALSE(crm.guard);

  const auto shop = route_of(made, "shop");
  CHECK(shop.server->hosts == std::vector<routing::host>{{"10.0.0.1", 5433}, {"2001:db8::1", 5433}});
  CHECK(shop.dbname == "shop{1}");
  CHECK(shop.pool == routing::pool_mode::session);
  CHECK(shop.pool_size == 20);

  const auto local = route_of(made, "local");
  CHECK(local.server->hosts == std::vector<routing::host>{{"/tmp", 5432}});
  CHECK(local.server->user == "known");
  CHECK(local.role == "known");
  CHECK(local.settings == routing::setting_list{{"application_name", "a {b}"}, {"timezone", "UTC"}});

  CHECK_FALSE(table_of(made).resolve({.tenant = *routing::tenant_id::parse("other"), .user = "app"}));
}

TEST_CASE("import: equal servers are one, and passwords stand in files of their own") {
  const auto made = import(
      "[databases]\na = host=pg1 user=u password='it''s'\nb = host=pg1 user=u password='it''s' dbname=x\n"
      "c = host=pg1 user=u password=other\nd = host=pg1 user=known\ne = host=pg1 user=nobody\nf = host=pg1 "
      "password=unused\n"
      "[pgbouncer]\nauth_file = users.txt\n");
  REQUIRE(made.errors == lines{});
  REQUIRE(made.files.size() == 5);
  CHECK(made.files[2].name == "pg1-u.password");
  CHECK(made.files[2].text == "it's\n");
  CHECK(made.files[3].text == "other\n");
  CHECK(made.files[4].text == "from the users file\n");
  for (std::size_t i = 0; i < made.files.size(); ++i) CHECK(made.files[i].is_secret == (i >= 2));
  CHECK(route_of(made, "a").server->name == route_of(made, "b").server->name);
  CHECK(route_of(made, "a").server->name != route_of(made, "c").server->name);
  CHECK(route_of(made, "c").server->password_file == "/etc/pglodge/" + made.files[3].name);
  CHECK(says(made.remarks, "p.ini:6: databases.e.user: its password stands neither here"));
  CHECK(says(made.remarks, "p.ini:7: databases.f.password: not carried over"));
  for (const auto& shown : {made.files[0].text, made.files[1].text}) {
    for (const auto* secret : {"it's", "other", "unused", "users file"}) CHECK(!shown.contains(secret));
  }
  for (const auto& remark : made.remarks) CHECK(!remark.contains("it's"));
}

TEST_CASE("import: the fallback takes what no other does, and keeps its settings to itself") {
  const auto made = import(
      "[databases]\ncrm = host=pg1\n* = host=pg2 timezone=UTC max_db_connections=3\nfallback = host=pg3\n"
      "[pgbouncer]\npool_mode=transaction\n");
  const auto other = route_of(made, "anything");
  CHECK(other.server->hosts.front().address == "pg2");
  CHECK(other.dbname == "anything");
  CHECK(other.limits.connections == 3u);
  CHECK(other.pool_size == std::nullopt);
  CHECK(other.settings.size() == 1);
  const auto crm = route_of(made, "crm");
  CHECK(crm.server->hosts.front().address == "pg1");
  CHECK(crm.settings.empty());
  CHECK(crm.limits.connections == std::nullopt);

  const auto fixed = import("[databases]\n* = host=pg2 dbname=all\n");
  CHECK(route_of(fixed, "anything").dbname == "all");
  CHECK_FALSE(route_of(fixed, "anything").guard);
}

TEST_CASE("import: a name that is no tenant's id has a place and no tenant") {
  const auto made = import("[databases]\ncrm = host=pg1\n\"my crm\" = host=pg1\n'a*' = host=pg1\n");
  CHECK(made.remarks.size() >= 2);
  CHECK(says(made.remarks, "p.ini:3: databases.\"my crm\": no client gets there"));
  CHECK(says(made.remarks, "p.ini:4: databases.a*: no client gets there"));
  const auto table = table_of(made);
  CHECK(table.parts().databases.contains("my crm"));
  CHECK(table.patterns().empty());
}

TEST_CASE("import: sizes of pools") {
  const auto size = [](const std::string& database, const std::string& settings = {}) {
    return route_of(import("[databases]\ncrm = host=pg1 " + database + "\n[pgbouncer]\n" + settings), "crm").pool_size;
  };
  CHECK(size("") == 20u);
  CHECK(size("", "default_pool_size = 5\nreserve_pool_size = 2\n") == 7u);
  CHECK(size("pool_size=6 reserve_pool=1", "reserve_pool_size = 2\n") == 7u);
  CHECK(size("pool_size=0") == std::nullopt);
  CHECK(size("max_db_connections=30") == 20u);
  CHECK(size("max_db_connections=30 user=u") == 20u);
  CHECK(size("max_db_connections=10 user=u") == 10u);
  CHECK(size("max_db_connections=0", "max_db_connections = 9\n") == 20u);
  CHECK(size("pool_size=2147483647 reserve_pool_size=2147483647") == 1'000'000u);
  CHECK(size("pool_size=20 reserve_pool=5 max_db_connections=80") == 25u);
  CHECK(size("pool_size=20 reserve_pool=5 max_db_connections=22") == 22u);
  CHECK(size("pool_size=0 max_db_connections=80") == 80u);
}

TEST_CASE("import: what becomes of pool_size, the reserve and max_db_connections is said") {
  const auto remarks = [](const std::string& database) {
    return import("[databases]\ncrm = host=pg1 " + database +
                  "\n[pgbouncer]\ndefault_pool_size = 40\nreserve_pool_size = 10\nmax_db_connections = 80\n")
        .remarks;
  };
  const auto roomy = remarks("pool_size=20 reserve_pool=5");
  CHECK(says(roomy, "p.ini:2: databases.crm.pool_size: PgBouncer counts by user and database"));
  CHECK(says(roomy, "p.ini:2: databases.crm.reserve_pool: it is added to pool.size at once"));
  CHECK_FALSE(says(roomy, "p.ini:6: max_db_connections"));
  const auto bounded = remarks("pool_size=90");
  CHECK(says(bounded, "p.ini:6: max_db_connections: bounds what pool_size and the reserve ask for"));
  CHECK_FALSE(says(bounded, "p.ini:2: databases.crm.pool_size"));
  CHECK(says(remarks("max_db_connections=50"), "p.ini:4: default_pool_size: PgBouncer counts"));
  CHECK(says(remarks("max_db_connections=45"), "p.ini:2: databases.crm.max_db_connections: bounds"));
}

TEST_CASE("import: the console has another name, and the files name no schema that is not there") {
  const auto made = import_settings("admin_users = dba\nstats_users = grafana\n");
  CHECK(says(made.remarks, "p.ini:4: admin_users: the console's database is called pglodge"));
  for (const auto& file : made.files) CHECK_FALSE(file.text.contains("schema.json"));
}

TEST_CASE("import: times") {
  using ms = std::chrono::milliseconds;
  const auto plain = daemon_of(import_settings("")).timeouts;
  CHECK(plain.startup == ms(60'000));
  CHECK(plain.connect == ms(15'000));
  CHECK(plain.query_wait == ms(120'000));
  CHECK(plain.query_wait_notify == ms(5'000));
  CHECK(plain.server_idle == ms(600'000));
  CHECK(plain.server_lifetime == ms(3'600'000));
  const auto made = import_settings(
      "client_login_timeout = 1.5\nserver_connect_timeout = 0\nquery_wait_timeout = 0.0\nserver_idle_timeout = 0\n"
      "server_lifetime = 0\nclient_idle_timeout = 99999999999\nquery_timeout = 30\n");
  const auto set = daemon_of(made).timeouts;
  CHECK(set.startup == ms(1'500));
  CHECK(set.connect == std::chrono::hours(24));
  CHECK(set.query_wait == std::chrono::hours(24));
  CHECK(set.server_idle == ms(0));
  CHECK(set.server_lifetime == conf::timeout_settings{}.server_lifetime);
  CHECK(set.idle == std::chrono::hours(24 * 365));
  CHECK(route_of(made, "crm").limits.query_time == ms(30'000));
  CHECK(route_of(import("[databases]\na = host=h query_wait_timeout=3\n"), "a").limits.wait == ms(3'000));
  CHECK(route_of(import("[databases]\na = host=h query_wait_timeout=0\n"), "a").limits.wait == std::chrono::hours(24));
  CHECK(route_of(import("[databases]\na = host=h query_wait_timeout=-1\n"), "a").limits.wait == std::nullopt);
}

TEST_CASE("import: clients of a database, and limits of users") {
  const auto made = import(
      "[databases]\ncrm = host=h max_db_client_connections=50\nshop = host=h\n* = host=h\n"
      "[users]\nreporting = max_user_client_connections=20 query_timeout=300 transaction_timeout=1.5\n"
      "app = idle_transaction_timeout=10 query_timeout=0\nfree = max_user_client_connections=0 pool_size=3\n"
      "[pgbouncer]\nmax_db_client_connections = 9\nmax_user_client_connections = 7\nquery_timeout = 30\n");
  const auto table = table_of(made);
  const auto& places = table.parts().databases;
  CHECK(places.at("crm")->limits->limits == routing::limits{.clients = 50});
  CHECK(places.at("shop")->limits->limits == routing::limits{.clients = 9});
  CHECK(places.at("fallback")->limits == nullptr);
  CHECK(route_of(made, "other").limits.clients == 9u);
  CHECK(route_of(made, "crm").limits.clients == std::nullopt);
  const auto& roles = table.parts().roles;
  CHECK(roles.size() == 2);
  using ms = std::chrono::milliseconds;
  CHECK(roles.at("reporting")->limits ==
        routing::limits{.clients = 20, .query_time = ms(300'000), .transaction_time = ms(1'500)});
  CHECK(roles.at("app")->limits == routing::limits{.clients = 7, .idle_in_transaction = ms(10'000)});
  CHECK(says(made.remarks, "p.ini:6: users.reporting.query_timeout: is longer than that of [pgbouncer]"));
  CHECK(says(made.remarks, "p.ini:8: users.free.pool_size: not carried over"));
  CHECK(says(made.remarks, "p.ini:11: max_user_client_connections: it holds for the roles of [users]"));
}

TEST_CASE("import: doors") {
  const auto made = import_settings(
      "listen_addr = 10.0.0.1, ::1 ,pg.internal\nlisten_port = 7000\nunix_socket_dir = run\nclient_tls_sslmode = "
      "verify-full\n"
      "client_tls_cert_file = /c.crt\nclient_tls_key_file = c.key\nclient_tls_ca_file = /ca.crt\n");
  const auto doors = daemon_of(made).listen;
  REQUIRE(doors.size() == 4);
  CHECK(doors[0].address == "10.0.0.1");
  CHECK(doors[1].address == "::1");
  CHECK(doors[2].address == "pg.internal");
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(doors[i].port == 7000);
    CHECK(doors[i].tls == conf::listen_tls_mode::verify);
    CHECK(doors[i].tls_certificates.at(0).key == "/etc/pgbouncer/c.key");
    CHECK(doors[i].tls_client_ca == "/ca.crt");
  }
  CHECK(doors[3].unix_folder == "/etc/pgbouncer/run");
  CHECK(doors[3].port == 7000);

  const auto everywhere = import_settings("listen_addr = ::1, *\n");
  REQUIRE(daemon_of(everywhere).listen.size() == 2);
  CHECK(daemon_of(everywhere).listen[0].address == "*");

  CHECK(import_settings("client_tls_sslmode = require\nclient_tls_key_file = k\n").errors ==
        lines{"p.ini:4: client_tls_sslmode: needs client_tls_cert_file"});
  CHECK(says(import_settings("unix_socket_dir =\n").errors, "listen_addr: is needed"));
  CHECK(import_settings("unix_socket_dir = @x\nlisten_addr = a b\n").errors.size() == 2);
}

TEST_CASE("import: methods") {
  using enum conf::auth_method;
  const auto method = [](const std::string& settings) { return daemon_of(import_settings(settings)).auth.method; };
  CHECK(method("auth_file = u\n") == md5);
  CHECK(method("auth_file = u\nauth_type = scram-sha-256\n") == scram_sha_256);
  CHECK(method("auth_file = u\nauth_type = Plain\n") == password);
  CHECK(method("auth_file = u\nauth_type = trust\n") == trust);
  CHECK(method("auth_type = any\n") == trust);
  CHECK(method("auth_type = pam\n") == passthrough);
  CHECK(method("auth_type = ldap\n") == passthrough);
  CHECK(method("") == passthrough);
  CHECK(import_settings("auth_type = cert\nauth_file = u\n").errors ==
        lines{"p.ini:4: auth_type: cert needs client_tls_sslmode = verify-ca or verify-full"});

  const auto hba = import_settings("auth_type = hba\nauth_file = u\nauth_hba_file = h\n",
                                   "local all all peer\nhost all app 10.0.0.0/8 md5\n");
  const auto rules = daemon_of(hba).auth.rules;
  REQUIRE(rules.size() == 3);
  CHECK(rules[0].from == conf::auth_rule::origin::unix_socket);
  CHECK(rules[0].method == reject);
  CHECK(rules[1].role == "app");
  CHECK(rules[1].method == md5);
  CHECK(rules[2].method == reject);
  CHECK(says(hba.remarks, "p.ini:6: auth_hba_file: line 1: written as method: reject"));
  CHECK(import_settings("auth_type = hba\n").errors == lines{"p.ini:4: auth_type: hba needs auth_hba_file"});
  CHECK(import_settings("auth_type = hba\nauth_hba_file = /h\n").errors ==
        lines{"p.ini:5: auth_hba_file: cannot be read: No such file or directory"});
}

TEST_CASE("import: whom to ask") {
  const auto asked = [](const std::string& databases, const std::string& settings) {
    const auto made = import("[databases]\n" + databases + "[pgbouncer]\n" + settings);
    const auto query = daemon_of(made).auth.query;
    if (!query) return std::string("nobody");
    CHECK(table_of(made).parts().databases.contains(query->database));
    return query->database + "|" + query->user + "|" + query->sql.substr(0, 9);
  };
  CHECK(asked("a = host=h\n", "auth_query = SELECT 1\n") == "nobody");
  CHECK(asked("a = host=h\nb = host=h\n", "auth_user = q\n") == "a|q|SELECT ro");
  CHECK(asked("a = host=h\nb = host=h\n", "auth_user = q\nauth_dbname = b\nauth_query = SELECT 1, 2\n") ==
        "b|q|SELECT 1,");
  CHECK(asked("a = host=h\nb = host=h auth_user=q auth_query='SELECT 2'\n", "") == "b|q|SELECT 2");
  CHECK(asked("* = host=h\n", "auth_user = q\n") == "postgres|q|SELECT ro");
  CHECK(asked("* = host=h\n", "auth_user = q\nauth_dbname = auth\n") == "auth|q|SELECT ro");
  CHECK(import("[databases]\na = host=h\n[pgbouncer]\nauth_user = q\nauth_dbname = none\n").errors ==
        lines{"p.ini:5: auth_dbname: no such database in [databases]"});
  CHECK(says(import("[databases]\na = host=h auth_user=other\n[pgbouncer]\nauth_user = q\n").remarks,
             "p.ini:2: databases.a.auth_user: not carried over"));
}

TEST_CASE("import: TLS with servers") {
  const auto tls = [](const std::string& settings) { return route_of(import_settings(settings), "crm").server; };
  CHECK(tls("server_tls_sslmode = disable\n")->tls == routing::tls_mode::disable);
  CHECK(tls("server_tls_sslmode = allow\n")->tls == routing::tls_mode::prefer);
  const auto full =
      tls("server_tls_sslmode = verify-full\nserver_tls_ca_file = /ca\nserver_tls_cert_file = /c\nserver_tls_key_file "
          "= k\n");
  CHECK(full->tls == routing::tls_mode::verify_full);
  CHECK(full->tls_ca == "/ca");
  CHECK(full->tls_certificate == "/c");
  CHECK(full->tls_key == "/etc/pgbouncer/k");
  CHECK(import_settings("server_tls_cert_file = /c\n").errors.size() == 1);
}

TEST_CASE("import: what is unknown, cannot be read or has no counterpart is said with its line") {
  CHECK(import("[databases]\na = host=h\n[pgbouncer]\npool_mod = session\n").remarks.front() ==
        "p.ini:4: \"pool_mod\": not carried over: PgBouncer 1.25 has no such setting; did you mean \"pool_mode\"?");
  CHECK(import("[databases]\na = host=h\n[pgbouncer]\npool_mode = fast\ndefault_pool_size = x\nquery_timeout = 1s\n")
            .errors == lines{"p.ini:4: pool_mode: not one of session, transaction or statement",
                             "p.ini:5: default_pool_size: not a whole number",
                             "p.ini:6: query_timeout: not a number of seconds"});
  CHECK(import("[databases]\nb = password=my secret=1\nc = port=x\npgbouncer = host=h\nd = host\n").errors ==
        lines{"p.ini:2: databases.b: no parameter of PgBouncer 1.25 behind password; is that in quotes?",
              "p.ini:3: databases.c.port: not a whole number",
              "p.ini:4: databases.pgbouncer: the name is PgBouncer's own console's, and it refuses the entry",
              "p.ini:5: databases.d: name=value must stand at character 1 of the connection string"});
  CHECK(import("[databases]\na = hots=h\n").remarks.front() ==
        "p.ini:2: databases.a.hots: not carried over: PgBouncer 1.25 has no such setting; did you mean \"host\"?");
  CHECK(import("[databases]\na = host=h\n[pools]\nx = 1\ny = 2\n").errors.size() == 1);
  CHECK(import("[pgbouncer]\nauth_user = q\n").errors ==
        lines{"[databases]: there are none, so there is nothing to route"});
  CHECK(import("[databases]\na = host=@abstract\n").errors ==
        lines{"[databases]: none could be carried over, so there is nothing to route"});
  CHECK(says(import("[databases]\na = host=@abstract\nb = host=h\n").remarks,
             "p.ini:2: databases.a.host: the database is not carried over"));

  const auto made = import(
      "[databases]\na = host=h connect_query='SELECT 1'\na = host=h2\n[users]\napp = pool_mode=session "
      "pool_size=1\n[peers]\n1 = host=h\n"
      "[pgbouncer]\nserver_reset_query = DISCARD ALL\npool_mode = statement\npool_mode = statement\n");
  CHECK(says(made.remarks, "p.ini:2: databases.a.connect_query: not carried over"));
  CHECK(says(made.remarks, "p.ini:2: databases.a: defined again at p.ini:3"));
  CHECK(says(made.remarks, "p.ini:5: users.app.pool_mode: not carried over"));
  CHECK(says(made.remarks, "p.ini:7: peers.1: not needed"));
  CHECK(says(made.remarks, "p.ini:9: server_reset_query: not needed"));
  CHECK(says(made.remarks, "p.ini:10: pool_mode: set again at p.ini:11"));
  CHECK(says(made.remarks, "p.ini:11: pool_mode: statement has no counterpart"));
  CHECK(route_of(made, "a").server->hosts.front().address == "h2");
}

TEST_CASE("import: every setting of PgBouncer's has a row, and each row's value can be imported") {
  const auto all = conf::all_pgbouncer_settings();
  for (const auto& row : all) {
    INFO(row.name);
    CHECK(std::ranges::count_if(
              all, [&](const auto& other) { return other.section == row.section && other.name == row.name; }) == 1);
    CHECK((row.kind == conf::pgbouncer_kind::words) == !row.words.empty());
    if (!row.fallback.empty()) CHECK_FALSE(conf::value_problem(row, row.fallback));
    const bool is_silent = row.fate == conf::import_fate::carried && row.remark.empty();
    CHECK(conf::fate_in_words(row).empty() == is_silent);
    if (row.fate == conf::import_fate::no_match || row.fate == conf::import_fate::not_needed)
      CHECK_FALSE(row.remark.empty());
  }
}

TEST_CASE("YAML that is written is read as what was meant") {
  for (const std::string text :
       {"a",   "10.0.0.1:5432", "[::1]:5432",  "null",      "Yes",      "~", "",    "a: b", "a #b", "{x}", "*",
        "- a", "it's \"q\"",    "back\\slash", "tab\there", "cr\rhere", "ü", "1e3", "a:",   "@x",   "a,b", " a "}) {
    INFO(text);
    conf::yaml_flow flow;
    flow.add(conf::yaml_scalar(text.empty() ? "k" : text), conf::yaml_list({conf::yaml_scalar(text)}));
    const auto document = conf::yaml_document::parse(flow.str());
    REQUIRE(document.problems().empty());
    const auto& entry = document.root()->entries[0];
    if (!text.empty()) CHECK(entry.key->text == text);
    REQUIRE(entry.value->entries[0].value->kind == conf::yaml_kind::scalar);
    CHECK(entry.value->entries[0].value->text == text);
  }
  CHECK(conf::yaml_template("a{b}") == "\"a{{b}}\"");
}

}  // namespace pgbouncer_import_test
