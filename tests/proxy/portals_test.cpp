#include "proxy/session/portals.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace portals_test {

namespace {

proxy::statement_ptr statement(bool matters) {
  proxy::prepared_statement made;
  if (matters) made.verdict = std::make_shared<const pgwire::verdict>();
  return std::make_shared<const proxy::prepared_statement>(std::move(made));
}

const proxy::statement_ptr resetting = statement(true);
const proxy::statement_ptr harmless = statement(false);

}  // namespace

TEST_CASE("only portals that matter are kept in mind, and what takes their place") {
  proxy::portals portals;
  CHECK(portals.bind("", harmless) == 0);
  const auto first = portals.bind("", resetting);
  CHECK(portals.find("") == resetting);
  CHECK(portals.find("p") == nullptr);
  const auto second = portals.bind("", harmless);
  CHECK(second > first);
  CHECK(portals.find("") == nullptr);
  portals.confirm_bound(second);
  portals.clear();
  CHECK(portals.bind("", harmless) == 0);
}

TEST_CASE("a Bind or a Close that comes to nothing leaves the portal that was there") {
  proxy::portals portals;
  portals.confirm_bound(portals.bind("", resetting));
  const auto second = portals.bind("", harmless);
  portals.undo(second);
  CHECK(portals.find("") == resetting);
  const auto closing = portals.close();
  CHECK(portals.find("") == resetting);
  portals.confirm("", closing);
  CHECK(portals.find("") == nullptr);
}

TEST_CASE("many portals are kept apart, in whatever order they go") {
  proxy::portals portals;
  std::vector<proxy::portals::number> made;
  for (int i = 0; i < 50'000; ++i) made.push_back(portals.bind("p" + std::to_string(i), resetting));
  for (const auto which : made) portals.confirm_bound(which);
  CHECK(portals.find("p49999") == resetting);
  for (auto which = made.rbegin(); which != made.rend(); ++which) portals.undo(*which);
  CHECK(portals.find("p0") == nullptr);
  portals.undo(made.front());
}

TEST_CASE("a Close takes only what was there before it") {
  proxy::portals portals;
  portals.bind("", resetting);
  const auto closing = portals.close();
  portals.bind("", resetting);
  portals.confirm("", closing);
  CHECK(portals.find("") == resetting);
}

}  // namespace portals_test
