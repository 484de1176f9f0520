#include "proxy/desk/usage_line.hpp"

#include <catch2/catch.hpp>

#include "tests/proxy/usage_tools.hpp"

namespace usage_line_test {

using namespace proxy::desk;

namespace {

usage_line sample() {
  return {.run = "9f86d081884c7d65",
          .interval = 17,
          .from = tests::at("2026-11-24T17:00:00Z"),
          .to = tests::at("2026-11-24T17:01:00Z"),
          .tenant = "acme-2",
          .counts = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
}

std::string problem(std::string_view instead, std::string_view of) {
  std::string text = to_json(sample());
  text.replace(text.find(of), of.size(), instead);
  const auto line = parse_usage_line(text);
  return line ? "none" : line.error();
}

}  // namespace

TEST_CASE("a line as it is written", "[usage]") {
  CHECK(to_json(sample()) ==
        R"({"key":"9f86d081884c7d65-17-acme-2","from":"2026-11-24T17:00:00.000Z","to":"2026-11-24T17:01:00.000Z",)"
        R"("tenant":"acme-2","transactions":1,"statements":2,"errors":3,"rows":4,"bytes_in":5,"bytes_out":6,)"
        R"("busy_us":7,"waiting_us":8,"connected_us":9,"peak_clients":10})");
  CHECK(parse_usage_line(to_json(sample())) == sample());
  auto nobody = sample();
  nobody.tenant.clear();
  CHECK(parse_usage_line(to_json(nobody)) == nobody);
}

TEST_CASE("counts are what every JSON reader takes", "[usage]") {
  auto line = sample();
  line.counts.bytes_out = std::uint64_t{1} << 60;
  CHECK(parse_usage_line(to_json(line))->counts.bytes_out == largest_usage_count);
}

TEST_CASE("fields of other versions", "[usage]") {
  CHECK(problem(R"({"new":{"a":[1]},)", "{") == "none");
  CHECK(problem("", R"(,"peak_clients":10)") == "none");
}

TEST_CASE("what is no line of the ledger", "[usage]") {
  CHECK(parse_usage_line("").error() == "it is not JSON");
  CHECK(parse_usage_line("[]").error() == "it is not a JSON object");
  CHECK(parse_usage_line("{}").error() == "it has no text \"key\"");
  CHECK(parse_usage_line(std::string(longest_usage_line + 1, ' ')).error() == "it is too long");
  CHECK(problem("", "}") == "it is not JSON");
  CHECK(problem("}x", "}") == "it is not JSON");
  CHECK(problem("1", R"("9f86d081884c7d65-17-acme-2")") == "it has no text \"key\"");
  CHECK(problem("9F86", "9f86") == "its key is not <run>-<interval>-<tenant>");
  CHECK(problem("-0-", "-17-") == "its key is not <run>-<interval>-<tenant>");
  CHECK(problem("-", "-17-") == "its key is not <run>-<interval>-<tenant>");
  CHECK(problem(R"("globex")", R"("acme-2",)") == "it is not JSON");
  CHECK(problem(R"("globex",)", R"("acme-2",)") == "its key is not <run>-<interval>-<tenant>");
  CHECK(problem(R"("=1+1",)", R"("acme-2",)") == "its tenant is not an id");
  CHECK(problem("2026-11-31", "2026-11-24").contains("is neither a date nor a time"));
  for (const auto* bad : {"-1", "1.5", "\"1\"", "null", "9007199254740993", "18446744073709551615"}) {
    INFO(bad);
    CHECK(problem(R"("rows":)" + std::string(bad), R"("rows":4)") == "its \"rows\" is not a count");
  }
}

TEST_CASE("runs are told apart", "[usage]") {
  const std::string run = new_run();
  CHECK(run.size() == 16);
  CHECK(run.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(run != new_run());
}

}  // namespace usage_line_test
