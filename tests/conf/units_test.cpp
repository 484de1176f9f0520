#include "conf/units.hpp"

#include <catch2/catch.hpp>

namespace units_test {

using namespace std::chrono_literals;

TEST_CASE("whole numbers are decimal digits", "[units]") {
  CHECK(conf::parse_integer("0") == 0u);
  CHECK(conf::parse_integer("42") == 42u);
  CHECK(conf::parse_integer("18446744073709551615") == 18446744073709551615u);
  for (const auto* bad :
       {"", "-1", "+1", " 1", "1 ", "1_000", "1.0", "0x10", "0o17", "1e3", "18446744073709551616", "one"}) {
    INFO(bad);
    CHECK_FALSE(conf::parse_integer(bad));
  }
  CHECK(conf::parse_integer("070").error() == "\"070\" could be read as octal; write 70 without leading zeros");
  CHECK(conf::parse_integer("00").error() == "\"00\" could be read as octal; write 0 without leading zeros");
}

TEST_CASE("durations are one number and one unit", "[units]") {
  CHECK(conf::parse_duration("0") == 0ms);
  CHECK(conf::parse_duration("0s") == 0ms);
  CHECK(conf::parse_duration("250ms") == 250ms);
  CHECK(conf::parse_duration("5s") == 5s);
  CHECK(conf::parse_duration("2m") == 2min);
  CHECK(conf::parse_duration("8760h") == 8760h);
  for (const auto* bad :
       {"", "s", "5", "5 s", "5S", "5sec", "1.5s", "-1s", "1m30s", "1d", "05s", "8761h", "99999999999999999999s"}) {
    INFO(bad);
    CHECK_FALSE(conf::parse_duration(bad));
  }
}

TEST_CASE("sizes are bytes, or powers of 1024", "[units]") {
  CHECK(conf::parse_size("0") == 0u);
  CHECK(conf::parse_size("1") == 1u);
  CHECK(conf::parse_size("64KiB") == 65536u);
  CHECK(conf::parse_size("16MiB") == 16777216u);
  CHECK(conf::parse_size("1024GiB") == conf::largest_size);
  for (const auto* bad :
       {"", "KiB", "64K", "64KB", "64kib", "64 KiB", "-1", "1.5MiB", "1025GiB", "99999999999999999999"}) {
    INFO(bad);
    CHECK_FALSE(conf::parse_size(bad));
  }
}

}  // namespace units_test
