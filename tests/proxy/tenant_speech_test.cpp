// Which tenant a session is for, as far as it says so itself: statements go in, moves come out.
#include "proxy/session/tenant_speech.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>

namespace tenant_speech_test {

namespace {

using proxy::tenant_speech;
using routing::tenant_id;

struct speaker {
  explicit speaker(std::string_view login = {}, bool fixed = false, bool waits = true) {
    routing::identity who;
    if (!login.empty()) who.tenant = *tenant_id::parse(login);
    who.fixed = fixed;
    const std::vector<routing::hint> hints{
        {routing::hint_source::variable, "app.tenant", std::nullopt},
        {routing::hint_source::search_path, {}, *routing::name_template::parse("t_{tenant}", {"tenant"})}};
    speech.begin(who);
    speech.listen_to(std::make_shared<const routing::session_hints>(hints), waits);
  }

  // "now then back", "stays", or the SQLSTATE.
  std::string says(std::string_view sql, bool first = true, const pgwire::frontend::bind* values = nullptr) {
    const auto verdict = pgwire::judge(sql);
    const auto heard = speech.hear(&verdict, values, first);
    if (!heard) return heard.error().code;
    if (!*heard) return "stays";
    const auto name = [](const tenant_id& tenant) { return tenant.empty() ? std::string("-") : tenant.str(); };
    return name((*heard)->now) + " " + name((*heard)->then) + " " + name((*heard)->back);
  }
  void goes(std::string_view tenant, bool done = true) {
    speech.become(tenant.empty() ? tenant_id() : *tenant_id::parse(tenant), done);
  }

  tenant_speech speech;
};

}  // namespace

TEST_CASE("who waits may set what it likes, and names its tenant before anything else") {
  speaker s;
  CHECK(s.speech.is_waiting());
  CHECK(s.says("SELECT 1") == "28000");
  CHECK(s.says("BEGIN") == "28000");
  CHECK(s.says("SELECT set_config('work_mem', '1MB', false)") == "28000");
  CHECK(s.says("SET work_mem = '1MB'; RESET ALL") == "stays");
  CHECK(s.says("SET app.tenant = 'acme'") == "acme acme -");
  CHECK(s.says("SET LOCAL app.tenant = 'acme'") == "25001");
  CHECK(s.says("SET app.x = 'a\\'; SET app.y = '; SELECT secret FROM t; --'") != "stays");
  CHECK(s.says("SELECT pg_catalog.set_config('search_path', 'public,t_acme', false)") == "acme acme -");
  s.says("SET app.tenant = 'acme'");
  s.goes("acme");
  CHECK(s.says("SELECT 1") == "stays");
}

TEST_CASE("a change comes first in its transaction and in its text") {
  speaker s;
  s.says("SET app.tenant = 'acme'");
  s.goes("acme");
  CHECK(s.says("SET app.tenant = 'globex'") == "globex globex acme");
  CHECK(s.says("SET app.tenant = 'globex'", false) == "25001");
  CHECK(s.says("SELECT 1; SET app.tenant = 'globex'") == "25001");
  CHECK(s.says("SET app.tenant = 'globex'; COMMIT") == "25001");
  CHECK(s.says("RESET ALL; SET app.tenant = 'globex'") == "25001");
  CHECK(s.says("SET app.tenant = 'globex'; SELECT 1") == "25001");
  CHECK(s.says("SET app.tenant = 'globex'; SELECT 1; SET app.tenant = 'acme'") == "25001");
  CHECK(s.says("SET LOCAL app.tenant = 'globex'") == "25001");
  CHECK(s.says("SET app.tenant = 'acme'", false) == "stays");
}

TEST_CASE("back to the beginning: where that is nobody's, the statement runs where the session has been") {
  speaker s;
  s.says("SET app.tenant = 'acme'");
  s.goes("acme");
  for (const char* back : {"RESET app.tenant", "RESET ALL", "DISCARD ALL", "SET app.tenant = ''"}) {
    CHECK(s.says(back) == "acme - acme");
  }
  CHECK(s.says("RESET app.tenant; SELECT 1") == "25001");
  speaker placed({}, false, false);
  placed.says("SET app.tenant = 'acme'");
  placed.goes("acme");
  CHECK(placed.says("RESET app.tenant") == "- - acme");
  speaker named("globex");
  named.says("SET app.tenant = 'acme'");
  named.goes("acme");
  CHECK(named.says("RESET ALL") == "globex globex acme");
}

TEST_CASE("what the server does not confirm has not been said") {
  speaker s;
  s.says("SET app.tenant = 'acme'");
  CHECK(s.speech.confirmed_by({{"app.tenant", "acme"}}));
  CHECK_FALSE(s.speech.confirmed_by({{"app.tenant", "globex"}}));
  CHECK_FALSE(s.speech.confirmed_by({{"app.tenant", std::nullopt}}));
  CHECK_FALSE(s.speech.confirmed_by({}));
  s.says("RESET app.tenant");
  CHECK(s.speech.confirmed_by({{"app.tenant", "acme"}}));
}

TEST_CASE("what failed has said nothing, and two hints must agree") {
  speaker s;
  s.says("SET app.tenant = 'acme'");
  s.goes("acme", false);
  s.goes("", false);
  CHECK(s.says("SET search_path TO t_globex") == "globex globex -");
  s.goes("globex");
  CHECK(s.says("SET app.tenant = 'acme'") == "28000");
  CHECK(s.says("SET app.tenant = 'globex'") == "stays");
}

TEST_CASE("a tenant fixed by the login may name itself only") {
  speaker s("acme", true);
  CHECK(s.says("SET app.tenant = 'acme'") == "stays");
  CHECK(s.says("SET app.tenant = 'globex'") == "28000");
  CHECK(s.says("SET app.tenant = 'no id'") == "3D000");
  CHECK(s.says("RESET ALL") == "stays");
}

TEST_CASE("bound values are heard, computed ones refused") {
  speaker s;
  pgwire::frontend::bind values;
  values.parameters = {"APP.tenant", "acme"};
  CHECK(s.says("SELECT set_config($1, $2, false)", true, &values) == "acme acme -");
  values.parameters = {"app.tenant", std::nullopt};
  CHECK(s.says("SELECT set_config($1, $2, false)", true, &values) == "0A000");
  CHECK(s.says("SELECT set_config('app.tenant', x, false) FROM y") == "0A000");
  CHECK(s.says("SET app.tenant FROM CURRENT") == "0A000");
}

}  // namespace tenant_speech_test
