// What a server said to a session state is told to others for a second, and to nobody else.
#include "proxy/pool/refused_states.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

namespace pool_refused_states_test {

using proxy::refused_states;
using who = refused_states::who;
using namespace std::chrono_literals;

namespace {

const refused_states::time_point start{1h};
const proxy::pool_key here{"saas", "app", {}};

routing::session_state_ptr as(const std::string& role) {
  return std::make_shared<const routing::session_state>(routing::setting_list{{"role", role}}, routing::setting_list{});
}

pgwire::error_report gone(const std::string& role) {
  return {"ERROR", "22023", "role \"" + role + "\" does not exist", {}, {}};
}

}  // namespace

TEST_CASE("a refusal holds for the same state on the same connections") {
  refused_states states;
  CHECK(states.empty());
  states.add(here, as("a"), gone("a"), start);
  CHECK_FALSE(states.empty());

  REQUIRE(states.find(here, *as("a"), who::asks, start));
  CHECK(states.find(here, *as("a"), who::asks, start)->message == "role \"a\" does not exist");
  CHECK(states.find(here, *as("a"), who::asks, start + 999ms));

  CHECK_FALSE(states.find(here, *as("b"), who::asks, start));
  CHECK_FALSE(states.find({"other", "app", {}}, *as("a"), who::asks, start));
  CHECK_FALSE(states.find({"saas", "other", {}}, *as("a"), who::asks, start));

  // The same state in two databases: neither takes the other's place.
  const proxy::pool_key there{"other", "app", {}};
  states.add(there, as("a"), gone("A"), start);
  CHECK(states.find(here, *as("a"), who::asks, start)->message == "role \"a\" does not exist");
  CHECK(states.find(there, *as("a"), who::asks, start)->message == "role \"A\" does not exist");
}

TEST_CASE("after a second one tries again, and the others wait for what comes of it") {
  refused_states states;
  states.add(here, as("a"), gone("a"), start);
  CHECK_FALSE(states.find(here, *as("a"), who::asks, start + 1s));
  CHECK(states.find(here, *as("a"), who::asks, start + 1s));
  CHECK(states.find(here, *as("a"), who::asks, start + 1199ms));

  // Who had asked before hears of it, too, but for the one whose turn it is.
  SECTION("which may have waited") {
    CHECK_FALSE(states.find(here, *as("a"), who::was_granted, start + 1100ms));
    states.add(here, as("a"), gone("a"), start + 1100ms);
    CHECK(states.find(here, *as("a"), who::was_granted, start + 1101ms));
    CHECK_FALSE(states.find(here, *as("a"), who::was_granted, start + 2100ms));
    CHECK_FALSE(states.find(here, *as("a"), who::asks, start + 2100ms));
  }
  SECTION("it came to the same") {
    states.add(here, as("a"), gone("a"), start + 1100ms);
    CHECK(states.find(here, *as("a"), who::asks, start + 2s));
    CHECK_FALSE(states.find(here, *as("a"), who::asks, start + 2100ms));
    CHECK(states.find(here, *as("a"), who::asks, start + 2100ms));
  }
  SECTION("or to nothing") {
    CHECK_FALSE(states.find(here, *as("a"), who::asks, start + 1200ms));
    CHECK_FALSE(states.find(here, *as("a"), who::asks, start + 1200ms));
    CHECK(states.empty());
  }
}

TEST_CASE("a refusal that nobody asks for is forgotten") {
  refused_states states;
  states.add(here, as("a"), gone("a"), start);
  states.add(here, as("b"), gone("b"), start + 600ms);
  states.forget_old(start + 1999ms);
  CHECK(states.find(here, *as("a"), who::asks, start));
  states.forget_old(start + 2s);
  CHECK_FALSE(states.find(here, *as("a"), who::asks, start));
  CHECK(states.find(here, *as("b"), who::asks, start + 1s));
  states.forget_old(start + 2600ms);
  CHECK(states.empty());
}

TEST_CASE("refusals are bounded") {
  refused_states states;
  for (std::size_t i = 0; i < refused_states::most; ++i) {
    const std::string role = std::to_string(i);
    states.add(here, as(role), gone(role), start);
  }
  states.add(here, as("one more"), gone("one more"), start);
  CHECK(states.find(here, *as("999"), who::asks, start));
  CHECK_FALSE(states.find(here, *as("one more"), who::asks, start));
  states.add(here, as("0"), gone("0"), start + 1s);
  CHECK(states.find(here, *as("0"), who::asks, start + 1s));
}

TEST_CASE("only what would come to the same again is a refusal") {
  for (const char* const lasting : {"22023", "42501", "42704", "28000", "0A000", "55P02"}) {
    CHECK(refused_states::is_lasting(lasting));
  }
  for (const char* const passing : {"57014", "57P01", "53200", "53300", "40001", "55P03", "XX000", "25P02", "", "2"}) {
    CHECK_FALSE(refused_states::is_lasting(passing));
  }
}

}  // namespace pool_refused_states_test
