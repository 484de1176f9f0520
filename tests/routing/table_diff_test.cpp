#include "routing/table_diff.hpp"

#include "tests/routing/samples.hpp"

namespace table_diff_test {

using namespace routing;
using namespace samples;
using phrases = std::vector<std::string>;

namespace {

phrases between(const table& was, const table& now) { return diff(was.build(), now.build()); }

}  // namespace

TEST_CASE("nothing changed, nothing said, though every object is another") {
  table a, b;
  a.tenant("acme");
  b.tenant("acme");
  CHECK(between(a, b).empty());
}

TEST_CASE("tenants that come, go and move") {
  table a, b;
  for (const auto* id : {"acme", "globex", "gone"}) a.tenant(id);
  b.tenant("acme").database = b.parts.databases["acme"];
  auto& globex = b.tenant("globex");
  globex.state = tenant_state::suspended;
  globex.users = {"app"};
  b.tenant("new1");
  b.tenant("new2");
  CHECK(between(a, b) == phrases{"2 tenants added (new1, new2)", "1 tenant removed (gone)",
                                 "acme: database shared -> acme", "globex: state active -> suspended, users changed"});
}

TEST_CASE("of many changes ten are named") {
  table a, b;
  for (int i = 0; i < 25; ++i) {
    a.tenant("t" + std::to_string(i));
    b.tenant("t" + std::to_string(i)).role.emplace(filled("r"));
  }
  const auto said = between(a, b);
  REQUIRE(said.size() == 11);
  CHECK(said.front() == "t0: role changed");
  CHECK(said.back() == "and 15 more tenants changed");
}

TEST_CASE("of many that come and go ten are named") {
  table a, b;
  for (int i = 10; i < 22; ++i) {
    a.tenant("old" + std::to_string(i));
    b.tenant("new" + std::to_string(i));
  }
  const auto named = [](const std::string& kind) {
    std::string ids;
    for (int i = 10; i < 20; ++i) ids += (ids.empty() ? "" : ", ") + kind + std::to_string(i);
    return "(" + ids + " and 2 more)";
  };
  CHECK(between(a, b) == phrases{"12 tenants added " + named("new"), "12 tenants removed " + named("old")});
}

TEST_CASE("a change of the defaults is said once") {
  table a, b;
  a.tenant("acme");
  b.tenant("acme");
  b.parts.defaults.database = b.parts.databases["acme"];
  b.parts.defaults.limits.clients = 1;
  CHECK(between(a, b) == phrases{"defaults: database shared -> acme, limits changed"});
}

TEST_CASE("what means the same in other words is no move") {
  table a, b;
  a.tenant("acme");
  b.tenant("acme").database = b.parts.databases["shared"];
  CHECK(between(a, b) == phrases{"acme: written differently"});
}

TEST_CASE("patterns, servers, databases, hints and the rest") {
  table a, b;
  a.tenant("old-*");
  a.tenant("trial-*");
  b.tenant("trial-*").limits.clients = 1;
  b.parts.servers["main"] =
      std::make_shared<const server>(server{.name = "main", .hosts = {{"pg9", 1}}, .max_connections = 5});
  b.parts.servers["big"] = std::make_shared<const server>(server{.name = "big", .hosts = {{"pg", 1}}});
  b.parts.databases["acme"] = place("acme", b.parts.servers["big"], "acme2");
  b.parts.databases.erase("dedicated");
  b.parts.hints = {{hint_source::startup, "app.tenant", std::nullopt}};
  b.parts.unknown = unknown_tenants::use_defaults;
  b.parts.no_tenant = no_tenant_action::wait;
  CHECK(between(a, b) == phrases{"pattern trial-*: limits changed", "pattern old-* removed", "server big added",
                                 "server main: hosts changed, max_connections changed",
                                 "database acme: server main -> big, dbname acme -> acme2",
                                 "database dedicated removed", "hints changed", "unknown_tenants changed",
                                 "no_tenant changed"});
}

TEST_CASE("whatever changes in a pool is named") {
  for (int which = 0; which < 4; ++which) {
    table a, b;
    routing::database other = *b.parts.databases["acme"];
    if (which == 0) other.mode = routing::pool_mode::session;
    if (which == 1) other.pool_size = 7;
    if (which == 2) other.refuses_pins = true;
    if (which == 3) other.prepare = routing::prepare_mode::off;
    b.parts.databases["acme"] = std::make_shared<const routing::database>(other);
    CHECK(between(a, b) == phrases{"database acme: pool changed"});
  }
}

TEST_CASE("limits that are shared are named with who shares them") {
  const auto limited = [](sharer kind, std::string name, std::uint32_t clients) {
    return std::make_shared<const shared_limits>(shared_limits{kind, std::move(name), {.clients = clients}});
  };
  table a, b;
  a.parts.roles["reporting"] = limited(sharer::role, "reporting", 20);
  a.parts.roles["same"] = limited(sharer::role, "same", 1);
  a.parts.roles["gone"] = limited(sharer::role, "gone", 1);
  b.parts.roles["reporting"] = limited(sharer::role, "reporting", 30);
  b.parts.roles["same"] = limited(sharer::role, "same", 1);
  b.parts.roles["new"] = limited(sharer::role, "new", 1);
  routing::database other = *b.parts.databases["acme"];
  other.limits = limited(sharer::database, "acme", 5);
  b.parts.databases["acme"] = std::make_shared<const routing::database>(other);
  CHECK(between(a, b) == phrases{"database acme: limits changed", "role new added", "role reporting: limits changed",
                                 "role gone removed"});
}

}  // namespace table_diff_test
