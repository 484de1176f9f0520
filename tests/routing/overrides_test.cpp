#include <catch2/catch.hpp>

#include "routing/overrides.hpp"

namespace overrides_test {

namespace {

using namespace routing;

route route_of(std::string_view tenant, tenant_state state) {
  route made;
  made.tenant = *tenant_id::parse(tenant);
  made.database = "shared";
  made.state = state;
  return made;
}

tenant_state under(const overrides& over, route where) {
  over.apply(where);
  return where.state;
}

}  // namespace

TEST_CASE("an override says what state a tenant is in, until the files say so themselves", "[overrides]") {
  overrides over;
  const route acme = route_of("acme", tenant_state::active);
  over.want(acme, tenant_state::suspended, "moving");
  CHECK(over.of("acme") == "suspended");
  CHECK(under(over, acme) == tenant_state::suspended);
  CHECK(under(over, route_of("other", tenant_state::active)) == tenant_state::active);
  over.want(acme, tenant_state::held);
  CHECK(under(over, acme) == tenant_state::held);
  over.want(acme, tenant_state::active);
  CHECK(over.tenants.empty());

  const route hooli = route_of("hooli", tenant_state::suspended);
  over.want(hooli, tenant_state::active);
  CHECK(under(over, hooli) == tenant_state::active);
  over.want(hooli, tenant_state::suspended);
  CHECK(over.tenants.empty());
  // Read-only is open: there is nothing to be activated.
  over.want(route_of("reader", tenant_state::read_only), tenant_state::active);
  CHECK(over.tenants.empty());
}

TEST_CASE("a paused place holds who is not kept out already", "[overrides]") {
  overrides over;
  over.places["shared"] = {true, false};
  CHECK(under(over, route_of("acme", tenant_state::active)) == tenant_state::held);
  CHECK(under(over, route_of("acme", tenant_state::read_only)) == tenant_state::held);
  CHECK(under(over, route_of("acme", tenant_state::suspended)) == tenant_state::suspended);
  over.places["shared"] = {false, true};
  CHECK(over.is_disabled("shared"));
  CHECK(under(over, route_of("acme", tenant_state::active)) == tenant_state::active);
  over.everything_paused = true;
  CHECK(over.is_paused("elsewhere"));
}

}  // namespace overrides_test
