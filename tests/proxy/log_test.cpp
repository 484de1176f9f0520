#include "proxy/desk/log.hpp"

#include <catch2/catch.hpp>

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
