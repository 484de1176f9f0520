#include "protocol/hex.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace pgwire;

TEST_CASE("bytes are the same after two digits each") {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(to_hex(all).substr(0, 8) == "00010203");
  CHECK(to_hex("\x83\x5c") == "835c");
  CHECK(from_hex(to_hex(all)) == all);
  CHECK(from_hex("835C") == "\x83\x5c");
  CHECK(from_hex("").value().empty());
}

TEST_CASE("what is no hexadecimal text is told from bytes") {
  CHECK_FALSE(from_hex("0"));
  CHECK_FALSE(from_hex("0g"));
  CHECK_FALSE(from_hex("\\x00"));
}
