// Limits that sessions of several tenants share: who is counted where, and whose rate it is that runs out.
#include <catch2/catch.hpp>
#include <chrono>

#include "proxy/desk/shared_account.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/session_meter.hpp"
#include "proxy/session/time_limits.hpp"

namespace desk_shared_limits_test {

using namespace std::chrono_literals;
using proxy::session_meter;
using proxy::time_limits;
using proxy::desk::rate_limit;
using proxy::desk::session_times;
using proxy::desk::shared_accounts;
using proxy::desk::tenant_accounts;
using proxy::desk::traffic_tally;
using routing::limits;
using routing::sharer;

namespace {

const rate_limit::clock::time_point start{1h};

routing::shared_limits_ptr of(sharer kind, std::string name, const limits& what) {
  return std::make_shared<const routing::shared_limits>(routing::shared_limits{kind, std::move(name), what});
}

routing::route route_of(const std::string& tenant, routing::shared_limits_list shared = {}) {
  routing::route where;
  where.tenant = *routing::tenant_id::parse(tenant);
  where.shared = std::move(shared);
  return where;
}

struct desk_of_all {
  tenant_accounts accounts;
  shared_accounts together;
  session_times times;
  session_meter session() { return {accounts, together, times}; }
  auto clients(const routing::shared_limits_ptr& whose) { return together.of(*whose)->clients(); }
};

}  // namespace

TEST_CASE("shared limits: clients of all tenants are counted together, and the first that is full is named",
          "[limits]") {
  desk_of_all desk;
  const auto role = of(sharer::role, "reporting", {.clients = 2});
  const auto place = of(sharer::database, "shared", {.clients = 3});
  auto a = desk.session(), b = desk.session(), c = desk.session(), d = desk.session(), e = desk.session();
  REQUIRE(a.enter(route_of("acme", {role, place})));
  REQUIRE(b.enter(route_of("globex", {role, place})));
  const auto third = route_of("initech", {role, place});
  const auto refused = c.enter(third);
  REQUIRE_FALSE(refused);
  const auto told = proxy::ending::too_many_clients(third, refused.error()).report;
  CHECK(told.message == "role \"reporting\" has too many clients already");
  CHECK(told.detail == "roles.reporting.limits.clients is 2.");
  CHECK(desk.accounts.of("initech")->clients() == 0);  // nowhere
  CHECK(desk.clients(place) == 2);
  REQUIRE(d.enter(route_of("initech", {place})));
  const auto fourth = route_of("initech", {place});
  const auto full = e.enter(fourth);
  REQUIRE_FALSE(full);
  CHECK(full.error().path("clients") == "databases.shared.limits.clients");
  // Who is there already may go to another tenant in it, and leaves it with the last.
  REQUIRE(a.enter(route_of("umbrella", {role, place})));
  CHECK(desk.clients(place) == 3);
  REQUIRE(a.enter(route_of("acme", {role})));
  CHECK(desk.clients(place) == 2);
  CHECK(desk.clients(role) == 2);
}

TEST_CASE("shared limits: a new table counts who is there, however many they are", "[limits]") {
  desk_of_all desk;
  const auto role = of(sharer::role, "reporting", {.clients = 1});
  auto a = desk.session(), b = desk.session();
  b.share({role});  // it has not come in yet
  CHECK(desk.clients(role) == 0);
  REQUIRE(a.enter(route_of("acme")));
  REQUIRE(b.enter(route_of("acme")));
  a.share({role});
  b.share({role});
  CHECK(desk.clients(role) == 2);
  routing::table_parts table;
  table.roles["reporting"] = role;
  desk.together.keep_only(table);
  CHECK(desk.together.size() == 1);
  CHECK(desk.clients(role) == 2);
  table.roles.clear();
  desk.together.keep_only(table);
  CHECK(desk.together.size() == 0);
  a.share({role});  // it is back, and nobody but this one has heard of it
  CHECK(desk.clients(role) == 1);
  a.share({});
  CHECK(desk.clients(role) == 0);
}

TEST_CASE("shared limits: a statement waits for the slowest rate, and costs nothing where another refuses it",
          "[limits]") {
  desk_of_all desk;
  const auto role = of(sharer::role, "reporting", {.queries_per_second = 10, .burst = 1});
  const auto place = of(sharer::database, "shared", {.queries_per_second = 2, .burst = 1});
  const limits own{.queries_per_second = 100, .burst = 1};
  auto a = desk.session(), b = desk.session(), c = desk.session();
  CHECK_FALSE(a.is_paced({}));
  REQUIRE(a.enter(route_of("acme", {role, place})));
  REQUIRE(b.enter(route_of("globex", {role})));
  CHECK(a.is_paced({}));
  const auto pace = [&](session_meter& one, const limits& of_tenant, auto most) {
    const auto wait = one.pace(of_tenant, start, most);
    traffic_tally statement{.statements = 1};
    one.settle(statement, of_tenant, start);
    return wait;
  };
  CHECK(pace(a, own, 1s) == 0s);
  CHECK(pace(b, {}, 1s) == 100ms);  // of the role, whatever the tenant
  for (int i = 0; i < 50; ++i) {
    const auto refused = pace(a, own, 300ms);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == "53400");
    CHECK(refused.error().message == "the database's rate is used up");
    CHECK(refused.error().detail ==
          "databases.shared.limits.queries_per_second is 2, databases.shared.limits.burst 1.");
  }
  CHECK(pace(b, {}, 1s) == 200ms);  // nothing of it was left at the role
  CHECK(a.debt(own, start) == 200ms);
  CHECK(a.waits_for_rate(own, start).message == "waiting for the database's rate");
  CHECK(b.waits_for_rate({}, start).detail ==
        "roles.reporting.limits.queries_per_second is 10, roles.reporting.limits.burst 1.");
}

TEST_CASE("shared limits: what was had on credit is charged to all", "[limits]") {
  desk_of_all desk;
  const auto role = of(sharer::role, "reporting", {.bytes_per_second = 1000});
  auto a = desk.session(), b = desk.session();
  REQUIRE(a.enter(route_of("acme", {role})));
  REQUIRE(b.enter(route_of("globex", {role})));
  a.bytes_out(3000);
  traffic_tally none;
  a.settle(none, {}, start);
  CHECK(b.debt({}, start) == 2s);
  const auto refused = b.pace({}, start, 1s);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail == "roles.reporting.limits.bytes_per_second is 1000.");
}

TEST_CASE("shared limits: a time's report names whose it was", "[limits]") {
  limits own;
  own.query_time = 10s;
  const routing::shared_limits_list shared{of(sharer::role, "reporting", {.query_time = 1s, .transaction_time = 2s})};
  const time_limits::terms by{{own, shared}, 0ms};
  time_limits watch;
  CHECK(watch.look({.running = true, .steps = 1}, by, start) == time_limits::exceeded::none);
  CHECK(watch.look({.running = true, .steps = 1}, by, start + 1s) == time_limits::exceeded::query_time);
  const auto told = time_limits::report(time_limits::exceeded::query_time, by);
  CHECK(told.message == "canceling statement due to the role's limit");
  CHECK(told.detail == "roles.reporting.limits.query_time is 1000ms.");
  const auto over = time_limits::report(time_limits::exceeded::transaction_time, by);
  CHECK(over.severity == "FATAL");
  CHECK(over.detail == "roles.reporting.limits.transaction_time is 2000ms.");
}

}  // namespace desk_shared_limits_test
