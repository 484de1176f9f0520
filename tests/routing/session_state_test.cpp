#include "routing/session_state.hpp"

#include <catch2/catch.hpp>

namespace session_state_test {

using namespace routing;

TEST_CASE("identifiers are quoted, whatever they hold") {
  CHECK(quote_identifier("a") == "\"a\"");
  CHECK(quote_identifier("a\"b") == "\"a\"\"b\"");
  CHECK(search_path_value({"a b", "public"}) == "\"a b\", \"public\"");
  CHECK(search_path_value({}).empty());
}

TEST_CASE("a route's defaults: search_path, role, settings, in this order, and only what it says") {
  route where;
  CHECK(session_defaults(where).empty());
  where.settings = {{"app.tenant", "acme"}, {"work_mem", "1MB"}};
  where.role = "r";
  where.search_path = {"s", "public"};
  CHECK(session_defaults(where) ==
        setting_list{{"search_path", "\"s\", \"public\""}, {"role", "r"}, {"app.tenant", "acme"}, {"work_mem", "1MB"}});
}

TEST_CASE("session states are values") {
  const setting_list tenant{{"search_path", "a"}, {"role", "r"}, {"app.x", "1"}};
  const session_state one(tenant, {{"timezone", "UTC"}});
  const session_state same({{"app.x", "1"}, {"role", "r"}, {"search_path", "a"}}, {{"timezone", "UTC"}});
  CHECK(one == same);
  CHECK(one.fingerprint() == same.fingerprint());
  CHECK_FALSE(one == one.with("timezone", "CET"));
  CHECK(one == one.with("timezone", "CET").with("timezone", "UTC"));
  CHECK(one.with("timezone", std::nullopt) == session_state(tenant, {}));
  CHECK(*one.find("role") == "r");
  CHECK(*one.with("role", "s").find("role") == "s");
  CHECK(one.find("nothing") == nullptr);
  CHECK(session_state().fingerprint() == session_state({}, {}).fingerprint());
}

TEST_CASE("a state under which the server ends idle sessions says so") {
  const session_state plain({{"search_path", "a"}}, {});
  CHECK_FALSE(plain.ends_when_idle());
  CHECK(plain.with("idle_session_timeout", "20ms").ends_when_idle());
  CHECK_FALSE(plain.with("idle_session_timeout", "0").ends_when_idle());
  CHECK(plain.with("transaction_timeout", "1ms").ends_when_idle());
  CHECK_FALSE(plain.with("transaction_timeout", "1min").ends_when_idle());
}

TEST_CASE("a state that could end the next dressing, or keep it waiting, says so") {
  const session_state plain({{"search_path", "a"}}, {});
  CHECK_FALSE(plain.hampers());
  for (const auto* brief : {"1", "999", "1ms", "999ms", "900000us", "0.5s", "0x10", "", " 1s", "1.5min"}) {
    CAPTURE(brief);
    CHECK(plain.with("statement_timeout", brief).hampers());
  }
  for (const auto* ample : {"0", "1000", "1000ms", "1s", "30s", "1min", "2h", "1d", "0s", "0ms", "1 s", "5 min"}) {
    CAPTURE(ample);
    CHECK_FALSE(plain.with("statement_timeout", ample).hampers());
  }
  CHECK(session_state({{"statement_timeout", "5ms"}}, {}).hampers());
  CHECK(plain.with("default_transaction_deferrable", "on").hampers());
  CHECK_FALSE(plain.with("default_transaction_deferrable", "off").hampers());
}

TEST_CASE("what is read differently decides who may share a prepared statement") {
  const session_state plain({{"search_path", "a"}}, {});
  CHECK(plain.reading_fingerprint() == plain.with("application_name", "x").reading_fingerprint());
  CHECK(plain.reading_fingerprint() == plain.with("app.user", "7").reading_fingerprint());
  for (const auto* name : {"search_path", "role", "datestyle", "timezone", "standard_conforming_strings"}) {
    CHECK(plain.reading_fingerprint() != plain.with(name, "other").reading_fingerprint());
  }
}

TEST_CASE("dressing puts on the tenant's part with the rights of the login, the client's with those of the role") {
  const session_state bare;
  const session_state acme({{"search_path", "acme"}, {"role", "acme"}, {"app.t", "1"}}, {{"timezone", "UTC"}});
  CHECK(difference(bare, acme) ==
        std::vector<dress_step>{{"app.t", "1"}, {"search_path", "acme"}, {"role", "acme"}, {"timezone", "UTC"}});
  CHECK(difference(acme, acme).empty());
  const session_state globex({{"search_path", "globex"}, {"role", "globex"}}, {});
  CHECK(difference(acme, globex) == std::vector<dress_step>{{"role", "none"},
                                                            {"timezone", std::nullopt},
                                                            {"app.t", std::nullopt},
                                                            {"search_path", "globex"},
                                                            {"role", "globex"}});
  CHECK(difference(acme, bare) ==
        std::vector<dress_step>{
            {"role", "none"}, {"timezone", std::nullopt}, {"app.t", std::nullopt}, {"search_path", std::nullopt}});
  // Of one tenant, only what differs.
  CHECK(difference(acme, acme.with("timezone", "CET")) == std::vector<dress_step>{{"timezone", "CET"}});
  CHECK(difference(acme.with("role", "none"), acme) == std::vector<dress_step>{{"role", "acme"}});
  // The client's own value of something that the tenant sets, and back.
  const session_state own = acme.with("search_path", "acme_2");
  CHECK(difference(acme, own) == std::vector<dress_step>{{"search_path", "acme_2"}});
  CHECK(difference(own, acme) == std::vector<dress_step>{{"search_path", "acme"}});
}

TEST_CASE("a dress is put on by one statement that means the same whatever is worn") {
  CHECK(dress_query({{"search_path", "\"it's\""}, {"app.x", std::nullopt}, {"role", "r", reach::transaction}}) ==
        "SELECT pg_catalog.set_config('search_path','\"it''s\"',false),pg_catalog.set_config('app.x',NULL,false),"
        "pg_catalog.set_config('role','r',true)");
  const auto by_login_role = [](const char* name) { return dress_step{name, "1", reach::session, true}; };
  CHECK(dress_query({by_login_role("a"), by_login_role("b"), {"c", "2"}}) ==
        "SELECT pg_catalog.set_config('role','none',true),pg_catalog.set_config('a','1',false),"
        "pg_catalog.set_config('b','1',false),pg_catalog.set_config('role',before.role,true),"
        "pg_catalog.set_config('c','2',false) FROM (SELECT pg_catalog.current_setting('role') AS role OFFSET 0) AS "
        "before");
  CHECK(text_expression("back\\slash's") == "E'back\\\\slash''s'");
}

TEST_CASE("a text that is not ASCII is given as bytes, so that no client_encoding finds a backslash or a quote in it") {
  CHECK(text_expression("\x83\\', x") ==
        "pg_catalog.convert_from(pg_catalog.decode('835c272c2078','hex'),pg_catalog.getdatabaseencoding())");
}

}  // namespace session_state_test
