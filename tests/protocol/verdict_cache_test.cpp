// Verdicts are remembered within a bound.
#include "protocol/verdict_cache.hpp"

#include <catch2/catch.hpp>

namespace verdict_cache_test {

using namespace pgwire;

TEST_CASE("a verdict is passed once for a text") {
  verdict_cache cache(64 * 1024);
  CHECK(cache.of("SELECT 1") == nullptr);
  CHECK(cache.size() == 0);
  const auto first = cache.of("SET a = 1");
  REQUIRE(first != nullptr);
  CHECK(*first == judge("SET a = 1"));
  CHECK(cache.of(std::string("SET a = 1")) == first);
  CHECK(cache.of("SET a = 2") != first);
  CHECK(cache.size() == 2);
}

TEST_CASE("a harmless text that had to be read is remembered as such") {
  verdict_cache cache(64 * 1024);
  const auto judged = cache.of("EXPLAIN SELECT 1");
  REQUIRE(judged != nullptr);
  CHECK(judged->harmless());
  CHECK(cache.of("EXPLAIN SELECT 1") == judged);
}

TEST_CASE("what was not asked for longest is forgotten first, and the bound holds") {
  verdict_cache cache(16 * 1024);
  const auto kept = cache.of("RESET kept");
  const auto lost = cache.of("RESET lost");
  for (int i = 0; i < 500; ++i) {
    cache.of("RESET a" + std::to_string(i));
    REQUIRE(cache.bytes() <= 16 * 1024);
    REQUIRE(cache.of("RESET kept") == kept);
  }
  CHECK(cache.size() > 5);
  CHECK(cache.size() < 100);
  CHECK(lost->settings.at(0).name.text == "lost");
  CHECK(cache.of("RESET lost") != lost);
}

TEST_CASE("what is too long, or larger than the whole cache, is judged and not remembered") {
  verdict_cache cache(1024 * 1024);
  const std::string text = "RESET a" + std::string(verdict_cache::longest_text, ' ');
  CHECK(cache.of(text)->settings.size() == 1);
  CHECK(cache.size() == 0);
  CHECK(cache.bytes() == 0);

  verdict_cache none(0);
  CHECK(none.of("RESET a")->settings.size() == 1);
  CHECK(none.size() == 0);

  verdict_cache small(1000);
  CHECK(small.of("RESET a") != nullptr);
  CHECK(small.size() == 1);
  std::string many;
  for (int i = 0; i < 100; ++i) many += "RESET a;";
  CHECK(small.of(many)->settings.size() == 100);
  CHECK(small.size() == 1);
}

}  // namespace verdict_cache_test
