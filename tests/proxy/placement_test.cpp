#include "proxy/session/placement.hpp"

#include <catch2/catch.hpp>

namespace placement_test {

using proxy::server_parameters;
using proxy::session_request;
using parameters = pgwire::parameter_list;

namespace {

session_request request_of(parameters given) {
  pgwire::startup_message startup;
  startup.parameters = std::move(given);
  auto read = session_request::read(std::move(startup));
  REQUIRE(read);
  return *read;
}

routing::route route_to(std::string user = {}) {
  routing::route where;
  where.server = std::make_shared<const routing::server>(routing::server{.name = "main", .user = std::move(user)});
  return where;
}

routing::identity identity_of(std::string user, std::optional<std::string> database) {
  routing::identity who;
  who.user = std::move(user);
  who.database = std::move(database);
  return who;
}

}  // namespace

TEST_CASE("schema, role and settings are appended; the client's own parameters stay in order") {
  routing::route where = route_to();
  where.dbname = "saas";
  where.search_path = {"tenant_acme", "public"};
  where.role = "tenant_acme";
  where.settings = {{"app.tenant", "acme"}};
  const auto request = request_of({{"user", "app.acme"},
                                   {"database", "crm"},
                                   {"application_name", "psql"},
                                   {"client_encoding", "UTF8"},
                                   {"replication", "database"}});
  CHECK(server_parameters(request, identity_of("app", "crm"), where) ==
        parameters{{"user", "app"},
                   {"database", "saas"},
                   {"application_name", "psql"},
                   {"client_encoding", "UTF8"},
                   {"replication", "database"},
                   {"search_path", R"("tenant_acme", "public")"},
                   {"role", "tenant_acme"},
                   {"app.tenant", "acme"}});
}

TEST_CASE("what the route decides is taken out of the client's parameters and options, however it is spelt") {
  routing::route where = route_to();
  where.dbname = "saas";
  where.search_path = {"a"};
  where.role = "r";
  where.settings = {{"work_mem", "1MB"}};
  const auto request = request_of({{"user", "app"},
                                   {"SEARCH_PATH", "evil"},
                                   {"Role", "evil"},
                                   {"session_authorization", "evil"},
                                   {"options", "-c search_path=evil --ROLE=evil -c sort_mem=9 -c geqo=off -e"}});
  const auto sent = server_parameters(request, identity_of("app", std::nullopt), where);
  CHECK(sent == parameters{{"user", "app"},
                           {"database", "saas"},
                           {"options", "-c geqo=off -e"},
                           {"search_path", R"("a")"},
                           {"role", "r"},
                           {"work_mem", "1MB"}});
}

TEST_CASE("without a role of the route the client may ask for one") {
  routing::route where = route_to();
  where.dbname = "saas";
  const auto request = request_of({{"user", "app"}, {"role", "other"}, {"search_path", "mine"}});
  CHECK(server_parameters(request, identity_of("app", std::nullopt), where) ==
        parameters{{"user", "app"}, {"database", "saas"}, {"role", "other"}, {"search_path", "mine"}});
}

TEST_CASE("the database is the route's, else the client's own, else left out") {
  const auto request = request_of({{"user", "app"}, {"database", "crm"}});
  routing::route where = route_to();
  CHECK(server_parameters(request, identity_of("app", "crm"), where) ==
        parameters{{"user", "app"}, {"database", "crm"}});
  CHECK(server_parameters(request, identity_of("app", std::nullopt), where) == parameters{{"user", "app"}});
  where.dbname = "saas";
  CHECK(server_parameters(request, identity_of("app", "crm"), where) ==
        parameters{{"user", "app"}, {"database", "saas"}});
}

TEST_CASE("a hint that PostgreSQL would not know as a setting does not reach it, one with a dot does") {
  routing::route where = route_to();
  where.dbname = "saas";
  auto who = identity_of("app", std::nullopt);
  who.consumed = {"tenant", "app.tenant", "application_name"};
  const auto request = request_of({{"user", "app"},
                                   {"tenant", "acme"},
                                   {"application_name", "acme"},
                                   {"options", "-c app.tenant=acme -c tenant=acme"}});
  CHECK(server_parameters(request, who, where) ==
        parameters{
            {"user", "app"}, {"database", "saas"}, {"options", "-c app.tenant=acme"}, {"application_name", "acme"}});
}

TEST_CASE("facts carry each occurrence of a setting by its canonical name") {
  const auto request =
      request_of({{"user", "u"}, {"database", ""}, {"App.Tenant", "b"}, {"options", "-c app.tenant=a"}});
  const auto facts = request.facts();
  CHECK(facts.user == "u");
  CHECK_FALSE(facts.database);
  CHECK(facts.settings == routing::setting_list{{"app.tenant", "a"}, {"app.tenant", "b"}});
}

TEST_CASE("options that the server could not read are refused") {
  pgwire::startup_message startup;
  startup.parameters = {{"user", "u"}, {"options", "-c work_mem"}};
  const auto read = session_request::read(std::move(startup));
  REQUIRE_FALSE(read);
  CHECK(read.error() == pgwire::errc::bad_options);
}

TEST_CASE("a server's own user logs in, and the session's role is the route's, else the client's own") {
  routing::route where = route_to("pool");
  where.dbname = "saas";
  const auto request = request_of({{"user", "app"}, {"role", "pool"}, {"options", "-c role=pool"}});
  CHECK(server_parameters(request, identity_of("app", std::nullopt), where) ==
        parameters{{"user", "pool"}, {"database", "saas"}, {"role", "app"}});
  where.role = "tenant_acme";
  CHECK(server_parameters(request, identity_of("app", std::nullopt), where) ==
        parameters{{"user", "pool"}, {"database", "saas"}, {"role", "tenant_acme"}});
}

}  // namespace placement_test
