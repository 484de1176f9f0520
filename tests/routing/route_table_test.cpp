#include "routing/route_table.hpp"

#include "tests/routing/samples.hpp"

namespace route_table_test {

using namespace routing;
using namespace samples;

namespace {

route resolved(const route_table& table, std::string_view tenant) {
  auto found = table.resolve(of_tenant(tenant));
  REQUIRE(found);
  return *found;
}

}  // namespace

TEST_CASE("an entry's route is filled in from its own words and the defaults") {
  table t;
  t.tenant("globex");
  const auto all = t.build();
  const auto where = resolved(all, "globex");
  CHECK(where.database == "shared");
  CHECK(where.server->name == "main");
  CHECK(where.dbname == "saas");
  CHECK(where.search_path == std::vector<std::string>{"tenant_globex", "public"});
  CHECK(where.role.empty());
  CHECK(where.pool == pool_mode::transaction);
  CHECK(where.state == tenant_state::active);
  CHECK(where.rule == "tenants.globex");
}

TEST_CASE("a dedicated database by template") {
  table t;
  t.tenant("umbrella").database = t.parts.databases["dedicated"];
  const auto all = t.build();
  CHECK(resolved(all, "umbrella").dbname == "crm_umbrella");
}

TEST_CASE("the nearest word on the search_path decides") {
  table t;
  t.parts.defaults.search_path.emplace({filled("from_{tenant}")});
  t.parts.defaults.schema.reset();
  t.tenant("inherits");
  t.tenant("schema").schema.emplace(filled("own"));
  t.tenant("none").schema.emplace(std::nullopt);
  t.tenant("path").search_path.emplace({filled("a"), filled("b")});
  auto& both = t.tenant("both");
  both.schema.emplace(std::nullopt);
  both.search_path.emplace({filled("public")});
  const auto all = t.build();
  using path = std::vector<std::string>;
  CHECK(resolved(all, "inherits").search_path == path{"from_inherits"});
  CHECK(resolved(all, "schema").search_path == path{"own", "public"});
  CHECK(resolved(all, "none").search_path.empty());
  CHECK(resolved(all, "path").search_path == path{"a", "b"});
  CHECK(resolved(all, "both").search_path == path{"public"});
}

TEST_CASE("settings and limits are merged key by key, the rest is replaced") {
  table t;
  t.parts.defaults.settings = {{"app.tenant", filled("{tenant}")}, {"work_mem", filled("1MB")}};
  t.parts.defaults.role.emplace(filled("tenant_{tenant}"));
  t.parts.defaults.users = {"app"};
  t.parts.defaults.limits.clients = 100;
  t.parts.defaults.limits.weight = 1;
  auto& acme = t.tenant("acme");
  acme.settings = {{"WORK_MEM", filled("2MB")}, {"x.y", filled("z")}};
  acme.role.emplace(std::nullopt);
  acme.users = {"ro"};
  acme.limits.clients = 5;
  t.tenant("globex");
  const auto all = t.build();
  const auto where = resolved(all, "acme");
  CHECK(where.settings == setting_list{{"app.tenant", "acme"}, {"work_mem", "2MB"}, {"x.y", "z"}});
  CHECK(where.role.empty());
  CHECK(where.users == std::vector<std::string>{"ro"});
  CHECK(where.limits.clients == 5u);
  CHECK(where.limits.weight == 1u);
  CHECK(resolved(all, "globex").role == "tenant_globex");
}

TEST_CASE("read-only is a setting that nothing in the table overrides") {
  table t;
  auto& frozen = t.tenant("frozen");
  frozen.state = tenant_state::read_only;
  frozen.settings = {{"default_transaction_read_only", filled("off")}};
  const auto all = t.build();
  CHECK(resolved(all, "frozen").settings == setting_list{{"default_transaction_read_only", "on"}});
}

TEST_CASE("an exact name wins, then the longest pattern") {
  table t;
  t.tenant("trial-*").schema.emplace(filled("any"));
  t.tenant("trial-gold-*").schema.emplace(filled("gold"));
  t.tenant("*-gold-9").schema.emplace(filled("nine"));
  t.tenant("trial-gold-1").schema.emplace(filled("one"));
  const auto all = t.build();
  CHECK(resolved(all, "trial-7").search_path.front() == "any");
  CHECK(resolved(all, "trial-7").rule == "tenants.trial-*");
  CHECK(resolved(all, "trial-gold-7").search_path.front() == "gold");
  CHECK(resolved(all, "trial-gold-1").search_path.front() == "one");
  CHECK(resolved(all, "trial-gold-9").search_path.front() == "gold");
  CHECK(all.tenants().size() == 1);
  CHECK(all.patterns().size() == 3);
}

TEST_CASE("an unknown tenant is refused, or lives where the defaults say") {
  table t;
  const auto strict = t.build();
  const auto refused = strict.resolve(of_tenant("nobody"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sqlstate == "3D000");
  CHECK(refused.error().message == "tenant \"nobody\" does not exist");
  t.parts.unknown = unknown_tenants::use_defaults;
  const auto open = t.build();
  CHECK(resolved(open, "nobody").search_path.front() == "tenant_nobody");
  CHECK(resolved(open, "nobody").rule == "defaults");
}

TEST_CASE("an id that makes too long a name is refused: PostgreSQL would cut it, and meet somebody else") {
  table t;
  t.parts.unknown = unknown_tenants::use_defaults;
  const auto all = t.build();
  CHECK(all.resolve(of_tenant(std::string(56, 'x'))));
  CHECK(all.resolve(of_tenant(std::string(57, 'x'))).error().sqlstate == "3D000");
}

TEST_CASE("no tenant: refused with the ways to name one, or routed by words of its own") {
  table t;
  t.parts.hints = {{hint_source::startup, "app.tenant", std::nullopt}};
  const auto strict = t.build();
  const auto refused = strict.resolve({});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().sqlstate == "28000");
  CHECK(refused.error().hint == "Name it by startup app.tenant.");

  t.parts.no_tenant = no_tenant_action::route;
  t.parts.no_tenant_route.database = t.parts.databases["acme"];
  const auto open = t.build();
  const auto where = open.resolve({});
  REQUIRE(where);
  CHECK(where->dbname == "acme");
  CHECK(where->search_path.empty());
  CHECK(where->rule == "no_tenant");

  t.parts.no_tenant = no_tenant_action::wait;
  const auto later = t.build();
  const auto meanwhile = later.resolve({});
  REQUIRE(meanwhile);
  CHECK(meanwhile->waits);
  CHECK(meanwhile->guard);
  CHECK(meanwhile->database == "shared");
  CHECK(meanwhile->search_path.empty());
}

TEST_CASE("the guard is on where tenants share a database, unless the table says otherwise") {
  table t;
  t.tenant("globex");
  t.tenant("acme").database = t.parts.databases["acme"];
  t.tenant("umbrella").database = t.parts.databases["dedicated"];
  t.tenant("soylent").guard = false;
  const auto alone = t.build();
  CHECK(resolved(alone, "globex").guard);
  CHECK_FALSE(resolved(alone, "acme").guard);
  CHECK_FALSE(resolved(alone, "umbrella").guard);
  CHECK_FALSE(resolved(alone, "soylent").guard);

  t.tenant("lodger-*").database = t.parts.databases["acme"];
  const auto together = t.build();
  CHECK(resolved(together, "acme").guard);
}

TEST_CASE("a database is shared, whatever entries of the table lead to it") {
  table t;
  const auto main = t.parts.servers["main"];
  const auto other = std::make_shared<const server>(server{.name = "other", .hosts = {{"pg2", 5432}}});
  t.tenant("twin").database = place("twin", main, "saas");
  t.tenant("namesake").database = place("namesake", other, "saas");
  const auto made = t.build();
  CHECK(resolved(made, "twin").guard);
  CHECK_FALSE(resolved(made, "namesake").guard);

  // Where the client names the database, it can name any of the server's.
  const auto named_by_client = [](std::string name, std::shared_ptr<const server> on) {
    return std::make_shared<const database>(database{.name = std::move(name), .server = std::move(on)});
  };
  t.tenant("guest").database = named_by_client("any", main);
  t.tenant("alone").database =
      named_by_client("its", std::make_shared<const server>(server{.name = "own", .hosts = {{"pg3", 5432}}}));
  const auto open = t.build();
  CHECK(resolved(open, "guest").guard);
  CHECK_FALSE(resolved(open, "alone").guard);
}

TEST_CASE("equal entries are kept once") {
  table t;
  for (int i = 0; i < 100; ++i) t.tenant("t" + std::to_string(i)).schema.emplace(filled("s" + std::to_string(i % 2)));
  const auto all = t.build();
  CHECK(all.find("t2")->says == all.find("t4")->says);
  CHECK(all.find("t2")->says != all.find("t3")->says);
}

TEST_CASE("whether a session must move") {
  table t;
  auto& acme = t.tenant("acme");
  const auto was = resolved(t.build(), "acme");
  CHECK_FALSE(place_changed(was, resolved(t.build(), "acme")));
  acme.limits.clients = 7;
  acme.users = {"app"};
  CHECK_FALSE(place_changed(was, resolved(t.build(), "acme")));
  acme.settings = {{"a.b", filled("c")}};
  CHECK(place_changed(was, resolved(t.build(), "acme")));
  acme.settings.reset();
  acme.role.emplace(filled("r"));
  CHECK(place_changed(was, resolved(t.build(), "acme")));
  acme.role.reset();
  acme.schema.emplace(filled("s"));
  CHECK(place_changed(was, resolved(t.build(), "acme")));
  acme.schema.reset();
  acme.database = t.parts.databases["acme"];
  CHECK(place_changed(was, resolved(t.build(), "acme")));
}

TEST_CASE("hosts as people write them") {
  CHECK(to_string(host{"pg1", 5432}) == "pg1:5432");
  CHECK(to_string(host{"::1", 5432}) == "[::1]:5432");
  CHECK(to_string(host{"/run/postgresql", 5433}) == "/run/postgresql:5433");
}

}  // namespace route_table_test
