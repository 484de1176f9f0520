#include "proxy/desk/utc_time.hpp"

#include <catch2/catch.hpp>

namespace utc_time_test {

using namespace proxy::desk;

namespace {

std::string read(std::string_view text) {
  const auto time = parse_time(text);
  return time ? to_rfc3339(*time) : "error";
}

}  // namespace

TEST_CASE("times of RFC 3339, and dates", "[usage]") {
  CHECK(read("2026-11-24") == "2026-11-24T00:00:00.000Z");
  CHECK(read("2026-11-24T17:53:29Z") == "2026-11-24T17:53:29.000Z");
  CHECK(read("2026-11-24t17:53:29.12z") == "2026-11-24T17:53:29.120Z");
  CHECK(read("2026-11-24 17:53:29.1239999") == "2026-11-24T17:53:29.123Z");
  CHECK(read("2026-11-24T17:53") == "2026-11-24T17:53:00.000Z");
  CHECK(read("2026-11-24T00:30:00+01:00") == "2026-11-23T23:30:00.000Z");
  CHECK(read("2026-12-31T23:30:00-02:30") == "2027-01-01T02:00:00.000Z");
  CHECK(read("2028-02-29") == "2028-02-29T00:00:00.000Z");
  CHECK(read("0001-01-01") == "0001-01-01T00:00:00.000Z");
  CHECK(read("1969-12-31T23:59:59.999Z") == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("what is no time", "[usage]") {
  for (const auto* bad : {"",
                          "yesterday",
                          "2026",
                          "2026-11",
                          "2026-11-31",
                          "2027-02-29",
                          "2026-13-01",
                          "2026-00-01",
                          "2026-11-00",
                          "26-11-24",
                          "2026-1-24",
                          "2026-11-24T",
                          "2026-11-24T17",
                          "2026-11-24T24:00",
                          "2026-11-24T17:60",
                          "2026-11-24T17:53:60",
                          "2026-11-24T17:53:29.",
                          "2026-11-24T17:53:29 Z",
                          "2026-11-24T17:53:29+1",
                          "2026-11-24T17:53:29+01",
                          "2026-11-24T17:53:29Zulu",
                          " 2026-11-24",
                          "2026-11-24 ",
                          "-026-11-24",
                          "0000-01-01T00:00+00:01",
                          "9999-12-31T23:59-00:01"}) {
    INFO(bad);
    CHECK_FALSE(parse_time(bad));
  }
  CHECK(parse_time("soon").error() ==
        "\"soon\" is neither a date nor a time; write one such as 2026-11-24 or 2026-11-24T17:30:00Z");
}

}  // namespace utc_time_test
