#include "routing/access.hpp"

#include <catch2/catch.hpp>

namespace access_test {

using namespace routing;

TEST_CASE("who may enter") {
  route where;
  where.tenant = *tenant_id::parse("acme");
  CHECK_FALSE(may_enter(where, "anybody"));

  where.users = {"app", "ro"};
  CHECK_FALSE(may_enter(where, "ro"));
  const auto refused = may_enter(where, "other");
  REQUIRE(refused);
  CHECK(refused->sqlstate == "28000");
  CHECK(refused->message == "role \"other\" may not enter tenant \"acme\"");
}

TEST_CASE("a suspended tenant says its message, or that it is suspended; a held one is not refused") {
  route where;
  where.tenant = *tenant_id::parse("acme");
  where.state = tenant_state::held;
  CHECK_FALSE(may_enter(where, "app"));

  where.state = tenant_state::suspended;
  CHECK(may_enter(where, "app")->sqlstate == "57P03");
  CHECK(may_enter(where, "app")->message == "tenant \"acme\" is suspended");
  where.message = "call billing";
  CHECK(may_enter(where, "app")->message == "call billing");
  CHECK(is_open(where)->message == "call billing");
}

TEST_CASE("who may not enter does not learn that the tenant is suspended") {
  route where;
  where.users = {"app"};
  where.state = tenant_state::suspended;
  CHECK(may_enter(where, "other")->sqlstate == "28000");
}

}  // namespace access_test
