// `options` is read as PostgreSQL reads it.
#include "protocol/startup_options.hpp"

#include <catch2/catch.hpp>

namespace startup_options_test {

using namespace pgwire;

namespace {

struct example {
  std::string_view text;
  parameter_list settings;
  std::vector<std::string> other;
};

}  // namespace

TEST_CASE("options are cut as the server cuts them, and written so that they read the same") {
  const auto [text, settings, other] = GENERATE(values<example>({
      {"", {}, {}},
      {" \t\n ", {}, {}},
      {"-c a=b", {{"a", "b"}}, {}},
      {"-c  a=b", {{"a", "b"}}, {}},
      {"-ca=b", {{"a", "b"}}, {}},
      {"--a-b=c-d", {{"a_b", "c-d"}}, {}},
      {"-c a-b=c", {{"a_b", "c"}}, {}},
      {"-- a=b", {}, {"--", "a=b"}},
      {"-c x=1 --", {{"x", "1"}}, {"--"}},
      {"-- -c a=b", {}, {"--", "-c", "a=b"}},
      {R"(-c a=b\ c)", {{"a", "b c"}}, {}},
      {R"(-c a=b\\ --c=d)", {{"a", "b\\"}, {"c", "d"}}, {}},
      {R"(-c a=\b)", {{"a", "b"}}, {}},
      {R"(-c a=b\)", {{"a", "b"}}, {}},
      {R"(-S \)", {}, {"-S", ""}},
      {R"(\)", {}, {""}},
      {"-c a=", {{"a", ""}}, {}},
      {"-c a=b=c", {{"a", "b=c"}}, {}},
      {"-c A.b=C", {{"A.b", "C"}}, {}},
      {"-c a=\xc3\xa4\xc2\xa0x", {{"a", "\xc3\xa4\xc2\xa0x"}}, {}},
      {"-ec a=b", {{"a", "b"}}, {"-e"}},
      {"-e-a=b", {{"a", "b"}}, {"-e"}},
      {"-eS 100 -c a=b", {{"a", "b"}}, {"-e", "-S", "100"}},
      {"-S100 -c a=b", {{"a", "b"}}, {"-S100"}},
      {"-S -c a=b", {}, {"-S", "-c", "a=b"}},
      {"-S", {}, {"-S"}},
      {"word -c a=b", {}, {"word", "-c", "a=b"}},
      {"- -c a=b", {}, {"-", "-c", "a=b"}},
      {"-? -c a=b", {}, {"-?", "-c", "a=b"}},
      {"-e: -c a=b", {}, {"-e", "-:", "-c", "a=b"}},
      {"-c a=1 -c a=2 -fs", {{"a", "1"}, {"a", "2"}}, {"-fs"}},
  }));
  CAPTURE(text);
  const auto parsed = parse_options(text);
  REQUIRE(parsed);
  CHECK(parsed->settings == settings);
  CHECK(parsed->other == other);
  const auto again = parse_options(encode_options(*parsed));
  REQUIRE(again);
  CHECK(again->settings == settings);
  CHECK(again->other == other);
}

TEST_CASE("settings without a name or value are refused") {
  const auto text = GENERATE("-c", "-c a", "-ca", "--a", "-c =b", "--=b", "-e-", "-c \\", "-c a=b -c", "---");
  CAPTURE(text);
  const auto parsed = parse_options(text);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error() == errc::bad_options);
}

TEST_CASE("settings are found by their lower-case, present name") {
  CHECK(canonical_setting_name("Search_Path") == "search_path");
  CHECK(canonical_setting_name("SORT_MEM") == "work_mem");
  CHECK(canonical_setting_name("vacuum_mem") == "maintenance_work_mem");
  CHECK(canonical_setting_name("\xc3\x84") == "\xc3\x84");
}

}  // namespace startup_options_test
