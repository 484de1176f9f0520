#include "proxy/desk/log.hpp"

#include <catch2/catch.hpp>

namespace log_test {

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  proxy::desk::append_json_escaped(text, out);
  return out;
}

}  // namespace

TEST_CASE("names from clients cannot break out of a JSON string") {
  CHECK(escaped("plain") == "plain");
  CHECK(escaped("\"\\\n\r\t") == R"(\"\\\n\r\t)");
  CHECK(escaped(std::string_view("\0\x1b", 2)) == R"(\u0000\u001b)");
  CHECK(escaped("\x7f") == R"(\u007f)");
  CHECK(escaped("grün €") == "grün €");
}

TEST_CASE("what is not UTF-8 is replaced, byte by byte") {
  CHECK(escaped("a\xff z") == R"(a\ufffd z)");
  CHECK(escaped("\xc0\x80") == R"(\ufffd\ufffd)");            // overlong
  CHECK(escaped("\xed\xa0\x80") == R"(\ufffd\ufffd\ufffd)");  // a surrogate
  CHECK(escaped("\xe2\x82") == R"(\ufffd\ufffd)");            // cut
}

TEST_CASE("a line says when and how grave, but where the journal says so") {
  using proxy::desk::format_line;
  using proxy::desk::log_format;
  const proxy::desk::log_line_text line{3, "tenant\n\"a\"",
                                        std::chrono::system_clock::time_point(std::chrono::milliseconds(1'500))};
  CHECK(format_line(line, log_format::text, false) == "1970-01-01T00:00:01.500Z warning tenant\\x0a\"a\"\n");
  CHECK(format_line(line, log_format::text, true) == "<4>tenant\\x0a\"a\"\n");
  const std::string json = R"({"time":"1970-01-01T00:00:01.500000Z","level":"warning","message":"tenant\n\"a\""})"
                           "\n";
  CHECK(format_line(line, log_format::json, false) == json);
  CHECK(format_line(line, log_format::json, true) == "<4>" + json);
  const auto priority = [](int level) { return format_line({level, "", {}}, log_format::text, true).substr(0, 3); };
  CHECK(priority(0) == "<7>");
  CHECK(priority(2) == "<6>");
  CHECK(priority(4) == "<3>");
  CHECK(priority(5) == "<2>");
}

TEST_CASE("the journal is what its variable names") {
  CHECK_FALSE(proxy::desk::is_journal(nullptr, 0));
  CHECK_FALSE(proxy::desk::is_journal("1:2", 0));
  CHECK_FALSE(proxy::desk::is_journal("", 0));
  CHECK_FALSE(proxy::desk::is_journal("1:2", -1));
}

}  // namespace log_test
