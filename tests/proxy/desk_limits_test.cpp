// Rates, times and counts, by a clock that the tests turn.
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "proxy/desk/rate_limit.hpp"
#include "proxy/desk/recent_times.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/traffic_tally.hpp"
#include "proxy/session/session_meter.hpp"
#include "proxy/session/time_limits.hpp"

namespace desk_limits_test {

using namespace std::chrono_literals;
using proxy::session_meter;
using proxy::time_limits;
using proxy::traffic_moment;
using proxy::desk::rate_limit;
using proxy::desk::recent_times;
using proxy::desk::session_times;
using proxy::desk::shared_accounts;
using proxy::desk::tenant_accounts;
using proxy::desk::traffic_tally;
using proxy::desk::usage_counts;
using exceeded = time_limits::exceeded;

namespace {

const rate_limit::clock::time_point start{1h};

routing::route route_of(const std::string& tenant) {
  routing::route where;
  where.tenant = *routing::tenant_id::parse(tenant);
  return where;
}

}  // namespace

TEST_CASE("rate: a burst at once, then one after another", "[limits]") {
  rate_limit rate;
  const rate_limit::terms by{10, 3};
  for (int i = 0; i < 3; ++i) CHECK(rate.take(by, 1, start, 1s) == 0s);
  CHECK(rate.take(by, 1, start, 1s) == 100ms);
  CHECK(rate.take(by, 1, start, 1s) == 200ms);
  CHECK(rate.take(by, 1, start + 300ms, 1s) == 0s);
}

TEST_CASE("rate: who would wait for too long takes nothing", "[limits]") {
  rate_limit rate;
  const rate_limit::terms by{10, 1};
  CHECK(rate.take(by, 1, start, 1s) == 0s);
  CHECK_FALSE(rate.take(by, 1, start, 99ms));
  CHECK(rate.take(by, 1, start, 100ms) == 100ms);
}

TEST_CASE("rate: what was had already is paid for by those who come next", "[limits]") {
  rate_limit rate;
  const rate_limit::terms by{100, 100};
  rate.charge(by, 300, start);
  CHECK(rate.take(by, 0, start, 1h) == 2s);
  CHECK(rate.take(by, 1, start + 2s, 1h) == 10ms);
  CHECK(rate.take(by, 0, start + 1h, 1h) == 0s);
}

TEST_CASE("rate: sums that nobody can wait for do not overflow", "[limits]") {
  rate_limit rate;
  rate.charge({1, 1}, UINT64_MAX, start);
  CHECK_FALSE(rate.take({1, 1}, 1, start, 24h));
}

TEST_CASE("rate: another one by the table in force", "[limits]") {
  rate_limit rate;
  CHECK(rate.take({1, 1}, 1, start, 1h) == 0s);
  CHECK(rate.take({1, 1}, 1, start, 1h) == 1s);
  CHECK(rate.take({100, 1}, 1, start + 1s, 1h) == 10ms);
}

TEST_CASE("time limits: each begins anew when something moves", "[limits]") {
  routing::limits limits;
  limits.query_time = 1s;
  limits.idle_in_transaction = 2s;
  limits.transaction_time = 10s;
  time_limits watch;
  const auto look = [&](const traffic_moment& at, auto after) { return watch.look(at, {limits, 5s}, start + after); };
  CHECK(look({.running = true, .steps = 1}, 0ms) == exceeded::none);
  CHECK(look({.running = true, .steps = 1}, 999ms) == exceeded::none);
  CHECK(look({.running = true, .steps = 1}, 1s) == exceeded::query_time);
  CHECK(look({.running = true, .steps = 3}, 1200ms) == exceeded::none);  // the next one
  CHECK(look({.in_transaction = true, .steps = 4}, 2s) == exceeded::none);
  CHECK(look({.in_transaction = true, .steps = 4}, 4s) == exceeded::idle_in_transaction);
  for (std::uint32_t i = 0; i < 7; ++i) {
    CHECK(look({.in_transaction = true, .steps = 5 + i}, 4s + i * 1s) == exceeded::none);
  }
  CHECK(look({.in_transaction = true, .steps = 20}, 12s) == exceeded::transaction_time);
  CHECK(look({.in_transaction = true, .transactions = 1, .steps = 22}, 13s) == exceeded::none);
  CHECK(look({.transactions = 1, .steps = 23}, 14s) == exceeded::none);
  CHECK(look({.transactions = 1, .steps = 23}, 18s) == exceeded::none);
  CHECK(look({.transactions = 1, .steps = 23}, 19s) == exceeded::idle);
  limits.transaction_time = 0ms;
  CHECK(look({.in_transaction = true, .transactions = 1, .steps = 40}, 1h) == exceeded::none);
}

TEST_CASE("time limits: a cancel is asked for twice, and what does not heed it is told as such", "[limits]") {
  routing::limits limits;
  limits.query_time = 1s;
  time_limits watch;
  const auto look = [&](auto after, std::uint32_t steps = 1) {
    return watch.look({.running = true, .steps = steps}, {limits, 0s}, start + after);
  };
  CHECK(look(0s) == exceeded::none);
  CHECK(look(1s) == exceeded::query_time);
  CHECK(look(2s) == exceeded::none);
  CHECK(look(6s) == exceeded::query_time);
  CHECK(look(10s) == exceeded::none);
  CHECK(look(11s) == exceeded::unheeded);
  CHECK(look(60s) == exceeded::unheeded);
  CHECK(look(61s, 2) == exceeded::none);
  CHECK(look(62s, 2) == exceeded::query_time);
}

TEST_CASE("time limits: who waits for the lodge is not idle", "[limits]") {
  const routing::limits limits;
  time_limits watch;
  CHECK(watch.look({}, {limits, 1s}, start) == exceeded::none);
  CHECK(watch.look({.waits = true}, {limits, 1s}, start + 2s) == exceeded::none);
  CHECK(watch.look({}, {limits, 1s}, start + 3s) == exceeded::none);
  CHECK(watch.look({}, {limits, 1s}, start + 4s) == exceeded::idle);
}

TEST_CASE("rows are the number at the end of a tag", "[usage]") {
  using proxy::desk::rows_of_tag;
  CHECK(rows_of_tag("SELECT 42") == 42);
  CHECK(rows_of_tag("INSERT 0 3") == 3);
  CHECK(rows_of_tag("CREATE TABLE") == 0);
  CHECK(rows_of_tag("BEGIN") == 0);
  CHECK(rows_of_tag("") == 0);
  CHECK(rows_of_tag("COPY ") == 0);
  CHECK(rows_of_tag("COPY 99999999999999999999999") == 0);
}

TEST_CASE("account: clients are counted while they are there, up to the limit", "[usage]") {
  tenant_accounts accounts;
  const auto acme = accounts.of("acme");
  CHECK(accounts.of("acme") == acme);
  auto first = acme->enter(2);
  REQUIRE(first);
  {
    const auto second = acme->enter(2);
    CHECK(second);
    CHECK_FALSE(acme->enter(2));
    CHECK(acme->enter(std::nullopt));
  }
  CHECK(acme->clients() == 1);
  CHECK(acme->counts().peak_clients == 3);
  CHECK(acme->interval_counts().peak_clients == 3);
  CHECK(acme->interval_counts().peak_clients == 1);
  first.reset();
  CHECK(acme->clients() == 0);
  const auto connected = acme->counts().connected;
  CHECK(acme->counts().connected == connected);  // nobody is there
  CHECK(accounts.counts().size() == 1);
}

TEST_CASE("account: the length of many long sessions does not run over", "[usage]") {
  tenant_accounts accounts;
  const auto acme = accounts.of("acme");
  std::vector<proxy::desk::tenant_account::visit> all;
  const auto then = rate_limit::clock::now() + 24h * 365;  // so that the visits' own ends come before it
  for (int i = 0; i < 10'000; ++i) all.push_back(std::move(*acme->enter(std::nullopt, then)));
  CHECK(acme->counts(then + 24h * 200).connected == 10'000ULL * 200 * 86'400 * 1'000'000);
}

TEST_CASE("account: what many add is all there", "[usage]") {
  tenant_accounts accounts;
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i) {
    all.emplace_back([&] {
      for (int n = 0; n < 1000; ++n) accounts.of("acme")->add({.transactions = 1, .rows = 3});
    });
  }
  for (auto& one : all) one.join();
  const usage_counts sum = accounts.of("acme")->counts();
  CHECK(sum.transactions == 4000);
  CHECK(sum.rows == 12000);
}

TEST_CASE("meter: what a session has used goes to the tenant whose it was then", "[usage]") {
  tenant_accounts accounts;
  session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times);
  traffic_tally traffic{.rows = 5, .transactions = 2, .statements = 3, .errors = 1};
  REQUIRE(meter.enter(route_of("acme")));
  meter.bytes_in(10);
  meter.bytes_out(20);
  meter.lease_began(start);
  meter.waited(7us);
  meter.lease_ended(start + 30us);
  meter.settle(traffic, {}, start + 1s);
  CHECK(traffic.statements == 0);
  meter.bytes_in(1);
  REQUIRE(meter.enter(route_of("globex")));
  meter.bytes_in(2);
  meter.settle(traffic, {}, start + 2s);
  auto acme = accounts.of("acme")->counts();
  acme.connected = 0;
  CHECK(acme == usage_counts{2, 3, 1, 5, 11, 20, 30, 7, 0, 1});
  CHECK(accounts.of("globex")->counts().bytes_in == 2);
  CHECK(accounts.of("acme")->clients() == 0);
}

TEST_CASE("meter: a round's time is that until it has ended, and those that end at once share it", "[usage]") {
  tenant_accounts accounts;
  session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times);
  const auto count = [&] {
    std::uint64_t sum = 0;
    for (const auto each : times.queries.read().counts) sum += each;
    return sum;
  };
  CHECK_FALSE(meter.follow({0, false}));
  CHECK_FALSE(meter.follow({1, false}));  // nothing ran
  CHECK(count() == 0);
  CHECK_FALSE(meter.follow({1, true}));
  CHECK_FALSE(meter.follow({1, false}));  // it has run, and a Sync is still to come
  const auto took = meter.follow({3, true});
  REQUIRE(took);
  CHECK(*took >= 0ns);
  CHECK(count() == 2);
  CHECK(meter.follow({4, false}));  // the one that was open already
  CHECK(count() == 3);
}

TEST_CASE("meter: a lease that lasts is told as it goes", "[usage]") {
  tenant_accounts accounts;
  session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times);
  traffic_tally none;
  REQUIRE(meter.enter(route_of("acme")));
  meter.lease_began(start);
  meter.settle(none, {}, start + 10us);
  meter.settle(none, {}, start + 25us);
  meter.lease_ended(start + 40us);
  meter.settle(none, {}, start + 90us);
  CHECK(accounts.of("acme")->counts().busy == 40);
}

TEST_CASE("meter: a full tenant leaves the session whose it was", "[usage]") {
  tenant_accounts accounts;
  session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times), other(accounts, together, times);
  routing::route full = route_of("acme");
  full.limits.clients = 1;
  REQUIRE(other.enter(full));
  REQUIRE(meter.enter(route_of("globex")));
  CHECK_FALSE(meter.enter(full));
  CHECK(accounts.of("globex")->clients() == 1);
}

TEST_CASE("meter: what is refused costs nothing", "[limits]") {
  tenant_accounts accounts;
  proxy::desk::session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times);
  routing::limits limits;
  limits.queries_per_second = 10;
  limits.burst = 1;
  REQUIRE(meter.enter(route_of("acme")));
  CHECK(meter.pace(limits, start, 1s) == 0s);
  traffic_tally first{.statements = 1};
  meter.settle(first, limits, start);
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(meter.pace(limits, start, 50ms));
    traffic_tally refused{.statements = 1, .errors = 1};
    meter.settle(refused, limits, start);
  }
  CHECK(meter.pace(limits, start, 1s) == 100ms);
}

TEST_CASE("meter: the statement that waited is paid for once", "[limits]") {
  tenant_accounts accounts;
  session_times times;
  shared_accounts together;
  session_meter meter(accounts, together, times);
  routing::limits limits;
  limits.queries_per_second = 10;
  limits.burst = 2;
  REQUIRE(meter.enter(route_of("acme")));
  CHECK(meter.pace(limits, start, 1s) == 0s);
  traffic_tally one{.statements = 1};
  meter.settle(one, limits, start);
  CHECK(meter.pace(limits, start, 1s) == 0s);
  traffic_tally three{.statements = 3};
  meter.settle(three, limits, start);  // two of them on credit
  CHECK(meter.pace(limits, start, 1s) == 300ms);
  const auto refused = meter.pace(limits, start, 50ms);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().detail == "limits.queries_per_second is 10, limits.burst 2.");
}

TEST_CASE("recent times: every time is in the first bucket whose bound it does not exceed", "[recent_times]") {
  using namespace std::chrono;
  for (std::size_t i = 0; i + 1 < recent_times::buckets; ++i) {
    CHECK(recent_times::bucket_of(recent_times::bound(i)) == i);
    CHECK(recent_times::bucket_of(recent_times::bound(i) + 1us) == i + 1);
    CHECK(recent_times::bound(i + 1) * 2 <= recent_times::bound(i) * 3);
  }
  CHECK(recent_times::bucket_of(-5us) == 0);
  CHECK(recent_times::bucket_of(24h) == recent_times::buckets - 1);
}

TEST_CASE("recent times: one in a hundred may be slower, and what is old is forgotten", "[recent_times]") {
  recent_times times;
  CHECK(!times.p99(start));
  for (int i = 0; i < 199; ++i) times.observe(100us, start);
  times.observe(1s, start);
  CHECK(times.p99(start) == recent_times::bound(recent_times::bucket_of(100us)));
  for (int i = 0; i < 2; ++i) times.observe(1s, start + recent_times::span);
  CHECK(times.p99(start + recent_times::span) == recent_times::bound(recent_times::bucket_of(1s)));
  // The first span has gone by, the second has not.
  times.observe(100us, start + 2 * recent_times::span);
  CHECK(times.p99(start + 2 * recent_times::span) == recent_times::bound(recent_times::bucket_of(1s)));
  CHECK(times.p99(start + 3 * recent_times::span) == recent_times::bound(recent_times::bucket_of(100us)));
  CHECK(!times.p99(start + 4 * recent_times::span));
  times.observe(2s, start + 9 * recent_times::span);
  CHECK(times.p99(start + 9 * recent_times::span) == recent_times::bound(recent_times::bucket_of(2s)));
}

}  // namespace desk_limits_test
