#include "routing/session_state.hpp"

#include <catch2/catch.hpp>

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
