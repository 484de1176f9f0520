#include "routing/tenant_hint.hpp"

#include <catch2/catch.hpp>

namespace tenant_hint_test {

using namespace routing;

namespace {

hint by_startup(std::string name) { return {hint_source::startup, std::move(name), std::nullopt}; }
hint by(hint_source source, std::string_view pattern) {
  auto parsed = name_template::parse(pattern, {"role", "tenant", "dbname"});
  REQUIRE(parsed);
  return {source, {}, *parsed};
}
hint by_user(std::string_view pattern) { return by(hint_source::user, pattern); }
hint by_database(std::string_view pattern) { return by(hint_source::database, pattern); }

std::vector<hint> usual() {
  return {by_startup("app.tenant"), by_user("{role}.{tenant}"), by_database("{dbname}@{tenant}")};
}

identity who(const std::vector<hint>& hints, const session_facts& facts) {
  auto found = identify(hints, facts);
  REQUIRE(found);
  return *found;
}

refusal refused(const std::vector<hint>& hints, const session_facts& facts) {
  auto found = identify(hints, facts);
  REQUIRE_FALSE(found);
  return found.error();
}

}  // namespace

TEST_CASE("each hint yields the tenant, and what it took out is gone") {
  const auto by_the_user = who(usual(), {"app.acme", "crm", {}});
  CHECK(by_the_user.tenant.str() == "acme");
  CHECK(by_the_user.user == "app");
  CHECK(by_the_user.database == "crm");
  CHECK(by_the_user.hint == "user \"{role}.{tenant}\"");

  const auto by_the_database = who(usual(), {"app", "crm@acme", {}});
  CHECK(by_the_database.tenant.str() == "acme");
  CHECK(by_the_database.user == "app");
  CHECK(by_the_database.database == "crm");

  const auto by_the_packet = who(usual(), {"app", "crm", {{"work_mem", "1MB"}, {"app.tenant", "acme"}}});
  CHECK(by_the_packet.tenant.str() == "acme");
  CHECK(by_the_packet.consumed == std::vector<std::string>{"app.tenant"});
  CHECK(by_the_packet.hint == "startup app.tenant");
}

TEST_CASE("no hint, no tenant") {
  const auto nobody = who(usual(), {"app", std::nullopt, {}});
  CHECK(nobody.tenant.empty());
  CHECK(nobody.user == "app");
  CHECK_FALSE(nobody.database);
  CHECK(nobody.hint.empty());
  CHECK(who({}, {"app.acme", "crm", {}}).user == "app.acme");
}

TEST_CASE("hints that agree are all taken out, and the first is named") {
  const auto one = who(usual(), {"app.acme", "crm@acme", {{"app.tenant", "acme"}}});
  CHECK(one.tenant.str() == "acme");
  CHECK(one.user == "app");
  CHECK(one.database == "crm");
  CHECK(one.hint == "startup app.tenant");
}

TEST_CASE("hints that disagree are refused, whatever their order") {
  for (const session_facts& facts :
       {session_facts{"app.acme", "crm@globex", {}}, session_facts{"app.acme", "crm", {{"app.tenant", "globex"}}},
        session_facts{"app", "crm@acme", {{"app.tenant", "globex"}}},
        session_facts{"app", "crm", {{"app.tenant", "acme"}, {"app.tenant", "globex"}}}}) {
    const auto why = refused(usual(), facts);
    CHECK(why.sqlstate == "28000");
    CHECK(why.detail.find("\"acme\"") != std::string::npos);
    CHECK(why.detail.find("\"globex\"") != std::string::npos);
  }
}

TEST_CASE("of two templates for one source the first that matches counts") {
  const std::vector<hint> two{by_user("{role}/{tenant}"), by_user("{role}.{tenant}")};
  CHECK(who(two, {"app/a.b", std::nullopt, {}}).tenant.str() == "a.b");
  CHECK(who(two, {"app.b", std::nullopt, {}}).tenant.str() == "b");
}

TEST_CASE("two startup parameters are two sources") {
  const std::vector<hint> two{by_startup("app.tenant"), by_startup("tenant")};
  CHECK(who(two, {"app", std::nullopt, {{"tenant", "acme"}}}).tenant.str() == "acme");
  CHECK(refused(two, {"app", std::nullopt, {{"tenant", "acme"}, {"app.tenant", "b"}}}).sqlstate == "28000");
}

TEST_CASE("a startup parameter's name has no case, as at the server") {
  CHECK(who({by_startup("App.Tenant")}, {"app", std::nullopt, {{"app.tenant", "acme"}}}).tenant.str() == "acme");
}

TEST_CASE("a startup parameter that is no id is refused, a template that catches none does not match") {
  for (const auto* bad : {"", "no such", "../etc", "x\"; DROP", "-dash"}) {
    CHECK(refused(usual(), {"app", std::nullopt, {{"app.tenant", bad}}}).sqlstate == "3D000");
    const auto nobody = who(usual(), {std::string("app.") + bad, std::nullopt, {}});
    CHECK(nobody.tenant.empty());
    CHECK(nobody.user == std::string("app.") + bad);
  }
}

TEST_CASE("a template without a role leaves the user as it is") {
  const auto one = who({by_user("t-{tenant}")}, {"t-acme", std::nullopt, {}});
  CHECK(one.tenant.str() == "acme");
  CHECK(one.user == "t-acme");
}

TEST_CASE("by TLS: the server name that the client asked for, without case") {
  const std::vector<hint> hints{by(hint_source::sni, "{tenant}.db.example.com"), by_user("{role}.{tenant}")};
  session_facts facts{"app", "crm", {}, "Acme.DB.example.com"};
  CHECK(who(hints, facts).tenant.str() == "acme");
  CHECK(who(hints, facts).hint == "sni \"{tenant}.db.example.com\"");
  facts.server_name = "lodge.example.com";
  CHECK(who(hints, facts).tenant.empty());
  facts.server_name = "acme.db.example.com";
  facts.user = "app.globex";
  CHECK(refused(hints, facts).sqlstate == "28000");
}

TEST_CASE("by certificate: the whole of a name is the id") {
  const std::vector<hint> by_cn{{hint_source::certificate, "cn", std::nullopt}};
  const std::vector<hint> by_san{{hint_source::certificate, "san", std::nullopt}};
  session_facts facts{"app", "crm", {}, "", "acme", {"globex"}};
  CHECK(who(by_cn, facts).tenant.str() == "acme");
  CHECK(who(by_san, facts).tenant.str() == "globex");
  facts.common_name = "John Doe";
  CHECK(refused(by_cn, facts).sqlstate == "3D000");
  facts.alternative_names = {"globex", "soylent"};
  CHECK(refused(by_san, facts).sqlstate == "28000");
  CHECK(who(by_cn, {"app", "crm", {}}).tenant.empty());
  CHECK(who(by_san, {"app", "crm", {}}).tenant.empty());
}

TEST_CASE("of two templates for server names the first that matches counts, too") {
  const std::vector<hint> two{by(hint_source::sni, "{tenant}.db.example.com"),
                              by(hint_source::sni, "{tenant}.example.com")};
  CHECK(who(two, {"app", "crm", {}, "acme.db.example.com"}).tenant.str() == "acme");
  CHECK(who(two, {"app", "crm", {}, "acme.example.com"}).tenant.str() == "acme");
}

TEST_CASE("what the running session could say counts if it begins with it") {
  const std::vector<hint> later{{hint_source::variable, "App.Tenant", std::nullopt},
                                by(hint_source::search_path, "tenant_{tenant}")};
  const auto of = [&](setting_list settings) { return who(later, {"app", "crm", std::move(settings)}); };
  CHECK(of({{"app.tenant", "acme"}}).tenant.str() == "acme");
  CHECK(of({{"app.tenant", "acme"}}).hint == "variable App.Tenant");
  CHECK(of({{"app.tenant", "acme"}}).consumed.empty());
  CHECK_FALSE(of({{"app.tenant", "acme"}}).fixed);
  CHECK(of({{"search_path", "tenant_acme, public"}}).tenant.str() == "acme");
  CHECK(of({{"app.tenant", "acme"}, {"search_path", "tenant_acme"}}).tenant.str() == "acme");
  CHECK(of({{"app.tenant", ""}, {"search_path", "public"}, {"work_mem", "1MB"}}).tenant.empty());
  CHECK(refused(later, {"app", "crm", {{"app.tenant", "acme"}, {"search_path", "tenant_b"}}}).sqlstate == "28000");
  CHECK(refused(later, {"app", "crm", {{"app.tenant", "no such"}}}).sqlstate == "3D000");

  std::vector<hint> fixed = later;
  fixed.push_back(by_user("{role}.{tenant}"));
  CHECK(refused(fixed, {"app.acme", "crm", {{"app.tenant", "b"}}}).sqlstate == "28000");
  CHECK(who(fixed, {"app.acme", "crm", {{"app.tenant", "acme"}}}).fixed);
}

}  // namespace tenant_hint_test
