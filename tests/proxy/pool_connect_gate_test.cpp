// When a connection may be tried: the back-off after failures, and the slow return after them.
#include "proxy/pool/connect_gate.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

namespace pool_connect_gate_test {

using proxy::connect_gate;
using namespace std::chrono_literals;

namespace {

const connect_gate::time_point start{1h};

// One attempt that fails; it must be allowed.
void fail_one(connect_gate& gate, connect_gate::time_point now, double random = 0) {
  const auto attempt = gate.try_begin(now);
  REQUIRE(attempt);
  gate.failed(*attempt, now, random, "refused");
}

// How long after `now` the next attempt is allowed, to the millisecond.
std::chrono::milliseconds pause_after(connect_gate& gate, connect_gate::time_point now) {
  for (std::chrono::milliseconds waited{0};; ++waited) {
    if (!gate.try_begin(now + waited)) continue;
    gate.abandoned();
    return waited;
  }
}

}  // namespace

TEST_CASE("a server that is there is asked by a bounded number at a time") {
  connect_gate gate;
  for (unsigned i = 0; i < connect_gate::most_at_once; ++i) CHECK(gate.try_begin(start));
  CHECK_FALSE(gate.try_begin(start));
  gate.answered();
  CHECK(gate.try_begin(start));
  gate.abandoned();
  CHECK(gate.try_begin(start));
  CHECK_FALSE(gate.try_begin(start));
}

TEST_CASE("failures move attempts apart, up to a bound, by chance within the later half of the pause") {
  const double random = GENERATE(0.0, 0.999);
  connect_gate gate;
  auto now = start;
  std::vector<std::chrono::milliseconds> pauses;
  for (int i = 0; i < 8; ++i) {
    fail_one(gate, now, random);
    pauses.push_back(pause_after(gate, now));
    now += pauses.back();
  }
  CHECK(gate.failures() == 8);
  CHECK(gate.why() == "refused");
  std::chrono::milliseconds whole = connect_gate::first_pause;
  for (const auto pause : pauses) {
    CHECK(pause >= whole / 2);
    CHECK(pause <= whole);
    CHECK((pause > whole * 3 / 4) == (random > 0.5));
    whole = std::min(whole * 2, connect_gate::longest_pause);
  }
}

TEST_CASE("while it fails, one tries at a time") {
  connect_gate gate;
  fail_one(gate, start);
  CHECK_FALSE(gate.try_begin(start));
  const auto later = start + connect_gate::longest_pause;
  CHECK(gate.try_begin(later));
  CHECK_FALSE(gate.try_begin(later));
}

TEST_CASE("those who tried together fail together") {
  connect_gate gate;
  std::vector<connect_gate::attempt> attempts;
  for (int i = 0; i < 20; ++i) attempts.push_back(*gate.try_begin(start));
  for (const auto one : attempts) gate.failed(one, start, 0, "refused");
  CHECK(gate.failures() == 1);
  CHECK(pause_after(gate, start) == connect_gate::first_pause / 2);
}

TEST_CASE("a late failure of before does not undo what was learnt since") {
  connect_gate gate;
  const auto slow = gate.try_begin(start);
  fail_one(gate, start);
  gate.failed(*slow, start + 5s, 0, "no answer in time");
  CHECK(gate.failures() == 1);

  connect_gate other;
  const auto hangs = other.try_begin(start);
  fail_one(other, start);
  // One at a time: it must have ended before the next may try.
  CHECK_FALSE(other.try_begin(start + 1s));
  other.failed(*hangs, start + 1s, 0, "no answer in time");
  REQUIRE(other.try_begin(start + 1s));
  other.answered();
  CHECK_FALSE(other.failing());
}

TEST_CASE("a server that is back is asked by two, then by two more for each that was let in") {
  connect_gate gate;
  fail_one(gate, start);
  const auto now = start + 1s;
  unsigned under_way = 0;
  const auto begin_all = [&] {
    while (gate.try_begin(now)) ++under_way;
  };
  begin_all();
  CHECK(under_way == 1);
  for (unsigned expected = 2; expected < 10; ++expected) {
    gate.answered();
    --under_way;
    begin_all();
    CHECK(under_way == expected);
  }
  CHECK_FALSE(gate.failing());
  CHECK(gate.why().empty());
}

}  // namespace pool_connect_gate_test
