#include "routing/pattern.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace pattern_test {

using routing::matches_pattern;

TEST_CASE("a star stands for any run of characters, the rest for itself") {
  CHECK(matches_pattern("trial-*", "trial-"));
  CHECK(matches_pattern("trial-*", "trial-7"));
  CHECK_FALSE(matches_pattern("trial-*", "trial"));
  CHECK(matches_pattern("*-eu", "acme-eu"));
  CHECK_FALSE(matches_pattern("*-eu", "acme-eu2"));
  CHECK(matches_pattern("a*b*c", "aXbYbZc"));
  CHECK_FALSE(matches_pattern("a*b*c", "aXbYbZ"));
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("**", "x"));
  CHECK(matches_pattern("a", "a"));
  CHECK_FALSE(matches_pattern("a", "ab"));
  CHECK_FALSE(matches_pattern("a?", "ab"));
}

TEST_CASE("many stars cost no more than the lengths' product") {
  std::string pattern;
  for (int i = 0; i < 30; ++i) pattern += "a*";
  CHECK_FALSE(matches_pattern(pattern + "b", std::string(63, 'a')));
}

}  // namespace pattern_test
