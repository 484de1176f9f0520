#include "routing/explain.hpp"

#include "tests/routing/samples.hpp"

namespace explain_test {

using namespace routing;
using namespace samples;

namespace {

table two_tenants() {
  table t;
  t.parts.hints = {{hint_source::user, {}, *name_template::parse("{role}.{tenant}", {"role", "tenant"})}};
  auto& globex = t.tenant("globex");
  globex.users = {"app"};
  globex.settings = {{"app.tenant_id", filled("42")}};
  auto& hooli = t.tenant("hooli");
  hooli.state = tenant_state::suspended;
  hooli.message = "call billing";
  hooli.users = {"app"};
  return t;
}

}  // namespace

TEST_CASE("which hint, which rule, where and in what state") {
  const auto all = two_tenants().build();
  const auto told = explain(all, session_facts{"app.globex", "crm", {}});
  CHECK(told.admitted);
  CHECK(told.text() ==
        "tenant:       globex\n"
        "hint:         user \"{role}.{tenant}\"\n"
        "user:         app\n"
        "rule:         tenants.globex\n"
        "state:        active\n"
        "server:       main, tried in this order: pg1:5432, [::1]:5433\n"
        "database:     shared, dbname saas\n"
        "logs in as:   app\n"
        "search_path:  \"tenant_globex\", \"public\"\n"
        "app.tenant_id: 42\n"
        "users:        app\n"
        "pool:         transaction\n"
        "guard:        on\n"
        "admitted:     yes\n");
}

TEST_CASE("a guard that has nothing to watch is told") {
  table t = two_tenants();
  t.parts.tenants.front().second.pool = pool_mode::session;
  const auto told = explain(t.build(), session_facts{"app.globex", "crm", {}});
  CHECK(told.text().contains("guard:        on, but nobody watches connections that clients have for their own\n"));
}

TEST_CASE("whom the server lets in shares no connection, and nobody watches it") {
  const auto all = two_tenants().build();
  const auto text = [&](who_checks checks) { return explain(all, id("globex"), {}, checks).text(); };
  CHECK(text(who_checks::server)
            .contains("pool:         a connection of its own (passthrough)\n"
                      "guard:        on, but nobody watches connections that clients have for their own\n"));
  CHECK(text(who_checks::either)
            .contains("pool:         transaction; a connection of its own for whoever comes by passthrough\n"
                      "guard:        on, but nobody watches who comes by passthrough\n"));
}

TEST_CASE("who logs in for everybody is not who the session is") {
  table t = two_tenants();
  auto pooled = std::make_shared<server>(*t.parts.servers["main"]);
  pooled->user = "pool";
  t.parts.tenants.front().second.database = place("of_pool", pooled, "saas");
  const auto told = explain(t.build(), session_facts{"app.globex", "crm", {}});
  CHECK(told.text().contains("logs in as:   pool\nrole:         app\n"));
}

TEST_CASE("a session that has yet to name its tenant") {
  table t = two_tenants();
  t.parts.no_tenant = no_tenant_action::wait;
  const auto told = explain(t.build(), session_facts{"app", "crm", {}});
  CHECK(told.admitted);
  CHECK(told.text().contains("rule:         no_tenant\n"));
  CHECK(told.text().contains("admitted:     yes, to name its tenant before it may do anything else\n"));
}

TEST_CASE("why a session would be refused") {
  const auto all = two_tenants().build();
  const auto text = [&](session_facts facts) {
    const auto told = explain(all, facts);
    CHECK_FALSE(told.admitted);
    return told.text();
  };
  using Catch::Contains;
  CHECK_THAT(text({"other.globex", "crm", {}}), Contains("refused:      28000 role \"other\" may not enter"));
  CHECK_THAT(text({"app.nobody", "crm", {}}), Contains("refused:      3D000 tenant \"nobody\" does not exist"));
  CHECK_THAT(text({"app.hooli", "crm", {}}), Contains("refused:      57P03 call billing"));
  CHECK_THAT(text({"app", "crm", {}}), Contains("hint:         none matched"));
}

TEST_CASE("a bare id: roles are not considered, states are") {
  const auto all = two_tenants().build();
  CHECK(explain(all, id("globex")).admitted);
  CHECK_FALSE(explain(all, id("hooli")).admitted);
  CHECK_FALSE(explain(all, id("nobody")).admitted);
}

}  // namespace explain_test
