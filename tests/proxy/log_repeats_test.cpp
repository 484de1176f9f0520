#include "proxy/desk/log_repeats.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace log_repeats_test {

namespace {

using namespace std::chrono_literals;
using proxy::desk::log_repeats;

const log_repeats::clock::time_point start{1h};
const log_repeats::place here{"file.cpp", 1}, there{"file.cpp", 2};

}  // namespace

TEST_CASE("of a kind of line the first is written, and how many more there were", "[log]") {
  log_repeats lines;
  CHECK(lines.passes(here, 3, "first", 1, start));
  CHECK(lines.passes(there, 4, "another kind", 1, start));
  CHECK_FALSE(lines.passes(here, 3, "second", 1, start + 1s));
  CHECK_FALSE(lines.passes(here, 3, "third", 1, start + 2s));
  CHECK(lines.due(start + 9s).empty());
  const auto told = lines.due(start + 10s);
  REQUIRE(told.size() == 1);
  CHECK(told[0].level == 3);
  CHECK(told[0].text == "2 more like it in the last 10 s: second");
  // A flood goes on: one line a window.
  CHECK_FALSE(lines.passes(here, 3, "fourth", 1, start + 11s));
  CHECK(lines.due(start + 20s).size() == 1);
  // It has ended: the next is written.
  CHECK(lines.due(start + 30s).empty());
  CHECK(lines.passes(here, 3, "fifth", 1, start + 31s));
}

TEST_CASE("a few are written where that is wanted, and the last ones are told at the end", "[log]") {
  log_repeats lines;
  for (int i = 0; i < 3; ++i) CHECK(lines.passes(here, 2, "line", 3, start));
  CHECK_FALSE(lines.passes(here, 2, std::string(1000, 'x'), 3, start));
  const auto told = lines.rest(start + 1s);
  REQUIRE(told.size() == 1);
  CHECK(told[0].text == "1 more like it in the last 1 s: " + std::string(200, 'x'));
  CHECK(lines.rest(start + 1s).empty());
}

}  // namespace log_repeats_test
