// The averages of the last period that is over.
#include <catch2/catch.hpp>
#include <string>

#include "proxy/desk/stats_period.hpp"

namespace desk_stats_test {

namespace {

using namespace std::chrono_literals;
using proxy::desk::stats_period;

}  // namespace

TEST_CASE("a period has what was used in it, of those who used anything", "[stats]") {
  const stats_period::clock::time_point start{1h};
  proxy::desk::tenant_accounts accounts;
  stats_period period(start);
  CHECK(period.last()->length == 0s);

  accounts.of("acme")->add({.transactions = 10, .busy = 500});
  accounts.of("globex");
  period.end(accounts, start + 60s);
  auto last = period.last();
  CHECK(last->length == 60s);
  REQUIRE(last->tenants.size() == 1);
  CHECK(last->tenants[0].first == "acme");
  CHECK(last->tenants[0].second.transactions == 10);

  accounts.of("acme")->add({.transactions = 5});
  accounts.of("late")->add({.rows = 1});
  period.end(accounts, start + 90s);
  last = period.last();
  CHECK(last->length == 30s);
  REQUIRE(last->tenants.size() == 2);
  CHECK(last->tenants[0].second.transactions == 5);
  CHECK(last->tenants[0].second.busy == 0);
  CHECK(last->tenants[1].second.rows == 1);
  period.end(accounts, start + 120s);
  CHECK(period.last()->tenants.empty());
}

TEST_CASE("tenants that clients have thought up get only so many accounts", "[stats]") {
  using proxy::desk::named_by;
  proxy::desk::tenant_accounts accounts(1);
  accounts.of("first", named_by::client)->add({.rows = 1});
  auto visit = accounts.of("second", named_by::client)->enter(1);
  REQUIRE(visit);
  CHECK_FALSE(accounts.of("second", named_by::client)->enter(1));  // its limit is its own
  (*visit)->add({.rows = 5});
  CHECK(accounts.of("third", named_by::client)->enter(1));
  CHECK(accounts.of("named", named_by::table)->tenant() == "named");
  CHECK(accounts.find("second") == nullptr);
  CHECK(accounts.find("")->counts().rows == 5);
  CHECK(accounts.find("")->clients() == 1);
  visit.reset();
  CHECK(accounts.find("")->clients() == 0);
  for (int i = 0; i < 5000; ++i) accounts.of(std::to_string(i), named_by::client)->add({.rows = 1});
  CHECK(accounts.size() == 3);
  CHECK(accounts.find("")->counts().rows == 5005);
}

}  // namespace desk_stats_test
