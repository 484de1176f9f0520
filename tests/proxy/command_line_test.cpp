#include "proxy/command_line.hpp"

#include <catch2/catch.hpp>
#include <vector>

namespace command_line_test {

namespace {

auto parse(std::vector<const char*> words) {
  words.insert(words.begin(), "pglodge");
  return proxy::parse_command_line(static_cast<int>(words.size()), words.data());
}

}  // namespace

TEST_CASE("the commands") {
  const auto serve = parse({"serve", "-c", "/x.yaml"});
  REQUIRE(serve);
  CHECK(serve->what == proxy::command::serve);
  CHECK(serve->config == "/x.yaml");

  const auto check = parse({"check"});
  REQUIRE(check);
  CHECK(check->what == proxy::command::check);
  CHECK(check->config == "/etc/pglodge/pglodge.yaml");

  const auto route = parse({"route", "--config", "/x.yaml", "acme"});
  REQUIRE(route);
  CHECK(route->what == proxy::command::route);
  CHECK(route->subject == "acme");

  const auto import = parse({"import-pgbouncer", "/p.ini"});
  REQUIRE(import);
  CHECK(import->what == proxy::command::import_pgbouncer);
  CHECK(import->ini == "/p.ini");
  CHECK(import->folder == ".");
  CHECK(parse({"import-pgbouncer", "/p.ini", "-o", "/new"})->folder == "/new");
  CHECK(parse({"import-pgbouncer", "/p.ini", "--stdout"})->folder == std::nullopt);
  const auto usage = parse({"usage", "--from", "2026-11-01", "--to", "2026-12-01"});
  REQUIRE(usage);
  CHECK(usage->what == proxy::command::usage);
  CHECK(usage->usage.from == "2026-11-01");
  CHECK(usage->usage.to == "2026-12-01");
  CHECK_FALSE(usage->usage.tenant);
  CHECK(usage->usage.format == proxy::desk::usage_format::table);
  const auto more = parse({"usage", "--from", "a", "--to", "b", "--tenant", "acme", "--format", "json"});
  REQUIRE(more);
  CHECK(more->usage.tenant == "acme");
  CHECK(more->usage.format == proxy::desk::usage_format::json);
}

TEST_CASE("bad usage is exit code 2, help and version are 0") {
  CHECK(parse({}).error() == proxy::exit_usage);
  CHECK(parse({"fly"}).error() == proxy::exit_usage);
  CHECK(parse({"serve", "--nonsense"}).error() == proxy::exit_usage);
  CHECK(parse({"route"}).error() == proxy::exit_usage);
  CHECK(parse({"import-pgbouncer"}).error() == proxy::exit_usage);
  CHECK(parse({"import-pgbouncer", "/p.ini", "--stdout", "-o", "/new"}).error() == proxy::exit_usage);
  CHECK(parse({"usage", "--from", "2026-11-01"}).error() == proxy::exit_usage);
  CHECK(parse({"usage", "--from", "a", "--to", "b", "--format", "xml"}).error() == proxy::exit_usage);
  CHECK(parse({"--help"}).error() == proxy::exit_done);
  CHECK(parse({"--version"}).error() == proxy::exit_done);
}

}  // namespace command_line_test
