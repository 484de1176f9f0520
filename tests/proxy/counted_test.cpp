#include "proxy/counted.hpp"

#include <catch2/catch.hpp>

namespace counted_test {

TEST_CASE("a count follows its handles, moved or not") {
  proxy::counter count;
  {
    auto one = count.add();
    auto two = count.add();
    CHECK(count.value() == 2);
    const proxy::counted moved = std::move(one);
    CHECK(count.value() == 2);
    two = proxy::counted();
    CHECK(count.value() == 1);
  }
  CHECK(count.value() == 0);
}

}  // namespace counted_test
