#include <array>
#include <catch2/catch.hpp>
#include <string>

#include "proxy/console/command.hpp"

namespace console_command_test {

namespace {

using namespace proxy::console;

command one(std::string_view text) {
  auto read = parse(text, "root");
  INFO(text << ": " << (read ? "" : read.error().message));
  REQUIRE(read);
  REQUIRE(read->commands.size() == 1);
  return read->commands.front();
}

pgwire::error_report refused(std::string_view text) {
  auto read = parse(text, "root");
  INFO(text);
  REQUIRE(!read);
  return read.error();
}

}  // namespace

TEST_CASE("console commands are read without regard to case, with comments, quotes and semicolons", "[console]") {
  CHECK(one("SHOW TENANTS").shown == thing::tenants);
  CHECK(one("  show /* who /* is */ there */ Tenants -- all\n ;;").shown == thing::tenants);
  CHECK(one("HOLD acme").subject == "acme");
  CHECK(one("hold 'A''cme'").subject == "A'cme");
  CHECK(one("hold \"ac;\"\"me\"").subject == "ac;\"me");
  CHECK(one("HOLD E'ac\\'me'").subject == "ac'me");
  CHECK(one("HOLD Acme").subject == "Acme");
  CHECK(one("KILL TENANT 'x'").what == verb::kill_tenant);
  CHECK(one("KILL tenant").what == verb::kill);
  CHECK(one("KILL tenant").subject == "tenant");
  CHECK(one("KILL").subject.empty());
  CHECK(one("KILL_CLIENT 17").subject == "17");
  CHECK(one("SUSPEND acme 'call; billing'").value == "call; billing");
  CHECK(one("SET log_level = debug").value == "debug");
  CHECK(one("SET log.level TO DEFAULT").what == verb::reset);
  CHECK(one("SET log_level = debug FOR TENANT 'a;b'").tenant == "a;b");
  CHECK(one("SET log_level = debug FOR TENANT acme").value == "debug");
  CHECK(one("SET log_level = DEFAULT FOR TENANT acme").what == verb::reset);
  CHECK(one("RESET log_level FOR TENANT acme").tenant == "acme");
  CHECK(one("SHUTDOWN WAIT_FOR_CLIENTS").value == "wait");
  CHECK(one("SHOW ROUTE 'postgres://app.acme@lodge/crm'").subject == "postgres://app.acme@lodge/crm");
}

TEST_CASE("what stands behind a SHOW refines it", "[console]") {
  const auto how = one("SHOW CLIENTS LIKE 'a%' ORDER BY \"user\" DESC LIMIT 20").how;
  CHECK(how == refinement{"a%", "user", true, 20});
  CHECK(one("SHOW TENANT acme LIMIT 1").how.limit == 1);
  CHECK(one("show pools order by 2 asc").how.order_by == "2");
}

TEST_CASE("several statements are read as a whole or not at all", "[console]") {
  const auto read = parse("SHOW POOLS; PAUSE; ; RESUME x;", "root");
  REQUIRE(read);
  REQUIRE(read->commands.size() == 3);
  CHECK(read->commands[2].subject == "x");
  CHECK(parse("", "root")->commands.empty());
  CHECK(!parse("PAUSE; SHWO POOLS", "root"));
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "RELOAD;";
  CHECK(refused(many).code == "42601");
}

TEST_CASE("bad console input is refused, with a hint at what was meant", "[console]") {
  struct sample {
    std::string_view text, code, word;
  };
  const auto bad = GENERATE(values<sample>({{"SHWO TENANTS", "42601", "SHOW"},
                                            {"SHOW TENNANTS", "42601", "TENANTS"},
                                            {"xyzzy", "42601", "SHOW HELP"},
                                            {"SHOW", "42601", "SHOW HELP"},
                                            {"SHOW TENANT", "42601", ""},
                                            {"HOLD", "42601", ""},
                                            {"HOLD ''", "22023", ""},
                                            {"HOLD a b", "42601", ""},
                                            {"HOLD =", "42601", ""},
                                            {"KILL_CLIENT acme", "22023", "id"},
                                            {"KILL_CLIENT 99999999999999999999", "22023", ""},
                                            {"SHOW POOLS LIMIT -1", "42601", ""},
                                            {"SHOW POOLS LIMIT many", "22023", ""},
                                            {"SHOW POOLS ORDER", "42601", ""},
                                            {"HOLD 'acme", "42601", ""},
                                            {"HOLD \"acme", "42601", ""},
                                            {"/* /* */ HOLD acme", "42601", ""},
                                            {"SELECT * FROM tenants", "0A000", "SHOW HELP"},
                                            {"DROP TABLE tenants", "0A000", "SHOW HELP"},
                                            {"ROLLBACK TO x", "0A000", ""}}));
  const auto error = refused(bad.text);
  INFO(bad.text << ": " << error.message << ", " << error.hint);
  CHECK(error.code == bad.code);
  CHECK(error.severity == "ERROR");
  CHECK((error.message + error.hint).find(bad.word) != std::string::npos);
}

TEST_CASE("parameters stand where names and numbers may", "[console]") {
  const auto open = parse("SHOW TENANTS LIKE $1 LIMIT $2", "root");
  REQUIRE(open);
  CHECK(open->parameters == 2);
  const std::array<std::optional<std::string_view>, 2> values{"a%", "5"};
  const parameter_values given = values;
  const auto bound = parse("SHOW TENANTS LIKE $1 LIMIT $2", "root", &given);
  REQUIRE(bound);
  CHECK(bound->commands[0].how == refinement{"a%", "", false, 5});
  CHECK(parse("SHOW TENANTS LIMIT $1", "root", &given).error().code == "22023");
  CHECK(parse("HOLD $3", "root", &given).error().code == "42P02");
  CHECK(parse("HOLD $0", "root").error().code == "42P02");
  CHECK(parse("HOLD $99999999999999999999", "root").error().code == "42P02");
  const std::array<std::optional<std::string_view>, 1> null{std::nullopt};
  const parameter_values nothing = null;
  CHECK(parse("HOLD $1", "root", &nothing).error().code == "22023");
}

TEST_CASE("what drivers and psql send of themselves is answered", "[console]") {
  for (const std::string_view text : {"BEGIN",
                                      "begin isolation level serializable",
                                      "START TRANSACTION",
                                      "COMMIT",
                                      "ROLLBACK",
                                      "DISCARD ALL",
                                      "SET extra_float_digits = 3",
                                      "SET application_name = 'x'",
                                      "SET SESSION TIME ZONE 'UTC'",
                                      "SET NAMES 'UTF8'",
                                      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
                                      "RESET ALL",
                                      "UNLISTEN *",
                                      "CLOSE ALL",
                                      "DEALLOCATE ALL",
                                      "SHOW server_version",
                                      "SHOW TRANSACTION ISOLATION LEVEL",
                                      "SELECT 1",
                                      "SELECT version()",
                                      "select pg_catalog.version()",
                                      "SELECT pg_advisory_unlock_all()",
                                      "SELECT CURRENT_USER"}) {
    INFO(text);
    CHECK(one(text).what == verb::talk);
  }
  CHECK(one("SELECT current_user").rows == std::vector<row>{{"root"}});
  CHECK(one("BEGIN").effect == talk_effect::begins);
  // A question about the catalog has the columns that its text names, and no rows.
  const auto databases =
      one("SELECT d.datname as \"Name\", pg_get_userbyid(d.datdba, 1) as \"Owner\", d.x\nFROM pg_database d");
  CHECK(databases.heads == columns{{"Name"}, {"Owner"}, {"x"}});
  CHECK(databases.rows.empty());
}

}  // namespace console_command_test
