// What a session says of its tenant while it runs.
#include "routing/session_hints.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "routing/search_path.hpp"

namespace session_hints_test {

namespace {

using routing::hint;
using routing::hint_source;
using routing::session_hints;
using items = std::vector<std::string>;

hint of_template(hint_source source, std::string_view text) {
  return {source, {}, *routing::name_template::parse(text, {"tenant"})};
}

const session_hints both({{hint_source::startup, "other.setting", std::nullopt},
                          {hint_source::variable, "App.Tenant", std::nullopt},
                          of_template(hint_source::search_path, "tenant_{tenant}"),
                          of_template(hint_source::search_path, "t-{tenant}"),
                          of_template(hint_source::user, "{tenant}")});

std::string named(std::string_view setting, const items& values) {
  const auto found = both.named_by(setting, values);
  return found ? found->str() : found.error().sqlstate;
}

}  // namespace

TEST_CASE("which settings are hints") {
  CHECK(both.concerns("app.tenant"));
  CHECK(both.concerns("search_path"));
  CHECK_FALSE(both.concerns("other.setting"));
  CHECK(session_hints({{hint_source::startup, "app.tenant", std::nullopt}}).empty());
  CHECK(session_hints().named_by("app.tenant", {"acme"})->empty());
}

TEST_CASE("a variable's whole value is the id") {
  CHECK(named("app.tenant", {"acme"}) == "acme");
  CHECK(named("app.tenant", {""}).empty());
  CHECK(named("app.tenant", {}).empty());
  CHECK(named("app.tenant", {"a b"}) == "3D000");
  CHECK(named("app.tenant", {"acme", "globex"}) == "3D000");
}

TEST_CASE("of a search_path the first schema that matches counts, and none is no tenant") {
  CHECK(named("search_path", {"public", "tenant_acme", "tenant_globex"}) == "acme");
  CHECK(named("search_path", {"t-acme"}) == "acme");
  CHECK(named("search_path", {"public"}).empty());
  CHECK(named("search_path", {"tenant_"}).empty());
  CHECK(named("search_path", {"tenant_no id"}).empty());
  CHECK(named("search_path", {"$user"}).empty());
  // set_config() takes the list as one text.
  CHECK(named("search_path", {"public, \"tenant_Acme\""}) == "Acme");
  CHECK(named("search_path", {"PUBLIC,TENANT_Acme"}) == "acme");
  CHECK(named("search_path", {""}).empty());
}

TEST_CASE("a search_path's value is split as the server splits it") {
  CHECK(routing::split_search_path(" a , \"B \"\"b\" ,c ") == items{"a", "B \"b", "c"});
  CHECK(routing::split_search_path("") == items{});
  for (const char* wrong : {"a,", ",a", "a b", "\"a", "\"a\"b"}) CHECK_FALSE(routing::split_search_path(wrong));
}

}  // namespace session_hints_test
