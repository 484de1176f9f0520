// What runs without sockets, in nanoseconds: the bare lookup of the routing table, the route built from what it says,
// and what every statement is looked through for.
// Catch2 compiles the part that measures only where both are defined.
#define CATCH_CONFIG_MAIN
#define CATCH_CONFIG_ENABLE_BENCHMARKING
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "protocol/statement.hpp"
#include "protocol/verdict_cache.hpp"
#include "tests/routing/samples.hpp"

namespace {

constexpr int tenants = 100'000;

std::string id_of(int number) { return "customer-" + std::to_string(number); }

const routing::route_table& large_table() {
  static const routing::route_table made = [] {
    samples::table t;
    for (int i = 0; i < tenants; ++i) t.tenant(id_of(i));
    for (int i = 0; i < 20; ++i) t.tenant("trial-" + std::to_string(i) + "-*");
    return t.build();
  }();
  return made;
}

// Jumping about, or every lookup but the first would find all it needs in the CPU's cache.
std::vector<std::string> asked_for() {
  std::vector<std::string> ids;
  for (int i = 0; i < 4096; ++i) ids.push_back(id_of(i * 7919 % tenants));
  return ids;
}

}  // namespace

TEST_CASE("lookups in a table of 100,000 tenants and 20 patterns") {
  const auto& table = large_table();
  const auto ids = asked_for();
  std::size_t next = 0;
  REQUIRE(table.find(ids.front()));
  REQUIRE(table.find("trial-7-a")->entry == "trial-7-*");
  REQUIRE(!table.find("nobody"));
  BENCHMARK("an id") { return table.find(ids[next++ % ids.size()])->says; };
  BENCHMARK("a pattern") { return table.find("trial-7-a")->says; };
  BENCHMARK("nobody") { return table.find("nobody").has_value(); };
  std::vector<routing::identity> who;
  for (const auto& each : ids) who.push_back(samples::of_tenant(each));
  BENCHMARK("the whole route") { return table.resolve(who[next++ % who.size()])->search_path.size(); };
}

TEST_CASE("looking at statements") {
  const std::string plain = "SELECT abalance FROM pgbench_accounts WHERE aid = 4711;";
  const std::string matters = "SET search_path TO tenant_acme, public";
  REQUIRE(!pgwire::may_matter(plain));
  REQUIRE(pgwire::may_matter(matters));
  BENCHMARK("one that does not matter") { return pgwire::may_matter(plain); };
  BENCHMARK("one that is parsed") { return pgwire::judge(matters).statements.size(); };
  pgwire::verdict_cache known(1 << 20);
  REQUIRE(known.of(matters));
  BENCHMARK("the same, known already") { return known.of(matters)->statements.size(); };
}
