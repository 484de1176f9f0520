#include "proxy/trim_time.hpp"

#include <catch2/catch.hpp>

namespace trim_time_test {

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;
using namespace std::chrono_literals;

}  // namespace

TEST_CASE("memory is given back once after a burst, when it is over") {
  proxy::trim_time when;
  const proxy::clock::time_point begin{1h};
  CHECK_FALSE(when.is_now(10 * mib, begin));
  CHECK_FALSE(when.is_now(30 * mib, begin + 5s));  // it grows
  CHECK_FALSE(when.is_now(40 * mib, begin + 6s));
  CHECK_FALSE(when.is_now(40 * mib, begin + 7s));
  CHECK(when.is_now(40 * mib, begin + 8s));
  when.trimmed(25 * mib, begin + 8s);
  CHECK_FALSE(when.is_now(25 * mib, begin + 1h));

  CHECK_FALSE(when.is_now(40 * mib, begin + 2h));
  CHECK(when.is_now(40 * mib, begin + 2h + 2s));
}

TEST_CASE("what could not be given back is not looked for again") {
  proxy::trim_time when;
  const proxy::clock::time_point begin{1h};
  CHECK_FALSE(when.is_now(10 * mib, begin));
  CHECK_FALSE(when.is_now(40 * mib, begin));
  CHECK(when.is_now(40 * mib, begin + 2s));
  when.trimmed(40 * mib, begin + 2s);
  CHECK_FALSE(when.is_now(40 * mib, begin + 1h));
  CHECK_FALSE(when.is_now(41 * mib, begin + 2h));
  CHECK_FALSE(when.is_now(41 * mib, begin + 3h));
  CHECK_FALSE(when.is_now(46 * mib, begin + 4h));
  CHECK(when.is_now(46 * mib, begin + 5h));
}

}  // namespace trim_time_test
