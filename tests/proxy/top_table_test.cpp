// What `pglodge top` makes of two looks.
#include <catch2/catch.hpp>
#include <string>

#include "proxy/top/top_table.hpp"

namespace top_table_test {

namespace {

using namespace proxy::top;
using namespace std::chrono_literals;

const std::chrono::steady_clock::time_point start{1h};
const std::vector<std::string> tenant_heads{"tenant",  "state",  "database", "server",
                                            "clients", "active", "waiting",  "p99_us"};
const std::vector<std::string> usage_heads{"tenant",   "transactions", "statements", "errors",
                                           "bytes_in", "bytes_out",    "busy_us",    "waiting_us"};

look look_at(std::vector<std::vector<std::string>> tenants, std::vector<std::vector<std::string>> usage,
             std::chrono::steady_clock::time_point when) {
  const auto made = look::of({tenant_heads, std::move(tenants)}, {usage_heads, std::move(usage)}, when);
  REQUIRE(made);
  return *made;
}

std::string names(const std::vector<row>& rows) {
  std::string all;
  for (const row& one : rows) all += one.tenant + " ";
  return all;
}

}  // namespace

TEST_CASE("two looks come to rates, of a second and of a transaction", "[top]") {
  const look before = look_at({{"acme", "active", "shared", "main", "1", "0", "0", ""}},
                              {{"acme", "100", "200", "0", "0", "0", "1000000", "0"}}, start);
  const look now = look_at(
      {{"acme", "held", "shared", "main", "3", "2", "1", "1500"}, {"bob", "active", "own", "main", "0", "0", "0", ""}},
      {{"acme", "120", "260", "2", "1024", "1024", "2000000", "40000"}, {"late", "4", "4", "0", "0", "0", "0", "0"}},
      start + 2s);
  const auto rows = compare(before, now, {}, idle_tenants::left_out);
  CHECK(names(rows) == "acme late ");
  const row& acme = rows[0];
  CHECK(acme.state == "held");
  CHECK(acme.place == "shared on main");
  CHECK(acme.clients == 3);
  CHECK(acme.tx == 10);
  CHECK(acme.statements == 30);
  CHECK(acme.errors == 1);
  CHECK(acme.bytes == 1024);
  CHECK(acme.time == 50);
  CHECK(acme.wait == 2);
  CHECK(acme.p99 == 1.5);
  CHECK(acme.busy == 0.5);
  CHECK(rows[1].tx == 2);
  CHECK(names(compare(before, now, {column::tenant, true}, idle_tenants::shown)) == "late bob acme ");
  CHECK(names(compare(before, now, {column::clients, false}, idle_tenants::shown)) == "acme bob late ");

  const auto lines = draw(rows, now, {}, {70, 3});
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "3 tenants, 3 clients, 1 waiting, 12.0 tx/s, 0.50 servers busy; by busy");
  CHECK(lines[1].starts_with("tenant               clients"));
  CHECK(lines[2].size() == 70);
  CHECK(lines[2].starts_with("acme                       3"));
}

TEST_CASE("counts that went down with a restart are no rate, and names no sequences", "[top]") {
  const look before = look_at({}, {{"a", "100", "0", "0", "0", "0", "0", "0"}}, start);
  const look now =
      look_at({{"a", "x\x1b[2J", "d", "s", "1", "0", "0", ""}}, {{"a", "5", "0", "0", "0", "0", "0", "0"}}, start);
  const auto rows = compare(before, now, {}, idle_tenants::left_out);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].tx == 0);
  CHECK(rows[0].state == "x?[2J");
}

TEST_CASE("a table of another kind is an error", "[top]") {
  CHECK(look::of({{"tenant"}, {}}, {usage_heads, {}}, start).error() == "SHOW TENANTS has no column state");
  CHECK(look::of({tenant_heads, {}}, {{}, {}}, start).error() == "SHOW USAGE has no column tenant");
}

}  // namespace top_table_test
