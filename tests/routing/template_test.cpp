#include "routing/template.hpp"

#include <catch2/catch.hpp>

namespace template_test {

using routing::name_template;

namespace {

name_template made(std::string_view text) {
  auto parsed = name_template::parse(text, {"role", "tenant", "dbname"});
  REQUIRE(parsed);
  return *parsed;
}

// "role=app tenant=acme", or "-" where nothing matches.
std::string taken_apart(std::string_view text, std::string_view input) {
  const name_template pattern = made(text);
  const auto found = pattern.match(input);
  if (!found) return "-";
  std::string all;
  for (const auto& [name, value] : *found) {
    all += (all.empty() ? "" : " ") + std::string(name) + "=" + std::string(value);
  }
  return all;
}

}  // namespace

TEST_CASE("names are taken apart") {
  CHECK(taken_apart("{role}.{tenant}", "app.acme") == "role=app tenant=acme");
  CHECK(taken_apart("{role}.{tenant}", "app.acme.eu") == "role=app tenant=acme.eu");
  CHECK(taken_apart("{tenant}/{role}", "acme/app") == "tenant=acme role=app");
  CHECK(taken_apart("t-{tenant}-{dbname}", "t-acme-crm") == "tenant=acme dbname=crm");
  CHECK(taken_apart("<{tenant}>", "<acme>") == "tenant=acme");
  CHECK(taken_apart("<{tenant}>", "<a>b>") == "tenant=a>b");
  CHECK(taken_apart("{role}--{tenant}!", "a-b--c!") == "role=a-b tenant=c");
  CHECK(taken_apart("{role}..{tenant}", "...a") == "role=. tenant=a");
  CHECK(taken_apart("{{{tenant}}}", "{acme}") == "tenant=acme");
  CHECK(taken_apart("{tenant}", "acme") == "tenant=acme");
}

TEST_CASE("what does not fit the template does not match") {
  for (const auto* input : {"", ".", "app.", ".acme", "app", "appacme"}) {
    CHECK(taken_apart("{role}.{tenant}", input) == "-");
  }
  CHECK(taken_apart("<{tenant}>", "<>") == "-");
  CHECK(taken_apart("<{tenant}>", "<acme") == "-");
  CHECK(taken_apart("<{tenant}>", "acme>") == "-");
  CHECK(taken_apart("{tenant}", "") == "-");
  CHECK(taken_apart("fixed", "fixed!") == "-");
  CHECK(taken_apart("fixed", "fixed").empty());
}

TEST_CASE("names are put together") {
  CHECK(made("tenant_{tenant}").fill("acme") == "tenant_acme");
  CHECK(made("{{{tenant}}}").fill("x") == "{x}");
  CHECK(made("plain").fill("acme") == "plain");
  CHECK(made("a{tenant}").has("tenant"));
  CHECK_FALSE(made("a{tenant}").has("role"));
  CHECK(made("a{tenant}").text() == "a{tenant}");
  CHECK(made("").fill("acme").empty());
}

TEST_CASE("templates that cannot be understood are refused in words") {
  const auto error = [](std::string_view text) {
    const auto parsed = name_template::parse(text, {"role", "tenant"});
    REQUIRE_FALSE(parsed);
    return parsed.error();
  };
  CHECK(error("{tenat}") == "unknown variable {tenat}; known here: {role}, {tenant}");
  CHECK(error("{}") == "unknown variable {}; known here: {role}, {tenant}");
  CHECK(error("{tenant") == "'{' without '}'; write \"{{\" for the character itself");
  CHECK(error("tenant}") == "'}' without '{'; write \"}}\" for the character itself");
  CHECK(error("{tenant}.{tenant}") == "{tenant} may occur only once");
  CHECK(error("{role}{tenant}") == "{role}{tenant} need text between them that says where one ends");
}

}  // namespace template_test
