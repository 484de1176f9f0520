// Passwords prepared as PostgreSQL prepares them, and left alone where it leaves them alone. What is expected here
// was also what pg_saslprep of PostgreSQL 15 gave.
#include "protocol/saslprep.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace saslprep_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

std::string prepared(std::string_view password) { return std::string(saslprep(password).view()); }

}  // namespace

TEST_CASE("the examples of RFC 4013, section 3") {
  CHECK(prepared("I\u00adX") == "IX");  // soft hyphen mapped to nothing
  CHECK(prepared("user") == "user");
  CHECK(prepared("USER") == "USER");
  CHECK(prepared("\u00aa") == "a");
  CHECK(prepared("\u2168") == "IX");
  CHECK(prepared("\u0007") == "\u0007");              // forbidden by the RFC, but ASCII
  CHECK(prepared("\u0627\u0031") == "\u0627\u0031");  // forbidden: right-to-left must also end so
}

TEST_CASE("mapped and normalised") {
  CHECK(prepared("a\u00a0b\u3000c") == "a b c");
  CHECK(prepared("a\u200bb") == "a b");  // in both of the RFC's tables; the space wins, as at PostgreSQL
  CHECK(prepared("p\u00e4ss") == "p\u00e4ss");
  CHECK(prepared("pa\u0308ss") == "p\u00e4ss");
  CHECK(prepared("\ufb01") == "fi");
  CHECK(prepared("\u05d0b") == "\u05d0b");
  CHECK(prepared("\u05d0\u2168\u05d1") == "\u05d0\u2168\u05d1");  // both directions: raw, not normalised
  CHECK(prepared("\u05d0\ufb20\u05d1") == "\u05d0\u05e2\u05d1");
  CHECK(prepared("\ufdfa").size() == 33);  // the character that grows most
}

TEST_CASE("what PostgreSQL uses as it is") {
  CHECK(prepared("").empty());
  CHECK(prepared("\u00ad") == "\u00ad");              // would be empty
  CHECK(prepared("\u2168\u0221") == "\u2168\u0221");  // unassigned in Unicode 3.2
  CHECK(prepared("\u2168\u0007") == "\u2168\u0007");  // control
  CHECK(prepared("\u2168\ue000") == "\u2168\ue000");  // private use
  CHECK(prepared("\u0340") == "\u0340");              // forbidden before normalisation, though not after it
  CHECK(prepared("\u2168\xff") == "\u2168\xff");
  CHECK(prepared("\xe2\x85") == "\xe2\x85");                      // cut short
  CHECK(prepared("\xc1\xa1\u2168") == "\xc1\xa1\u2168");          // over-long
  CHECK(prepared("\xed\xa0\x80\u2168") == "\xed\xa0\x80\u2168");  // surrogate
  CHECK(prepared("\u2168\0\u2168"s) == "\u2168\0\u2168"s);
}

TEST_CASE("five ideographs that Unicode 3.2 normalised wrongly") {
  CHECK(prepared("\U0002f868\U0002f874\U0002f91f\U0002f95f\U0002f9bf") == "\u36fc\u5f53\U000243ab\u7aee\u45d7");
}

TEST_CASE("long passwords") {
  std::string marks = "a";
  for (int i = 0; i < 2000; ++i) marks += i % 2 == 0 ? "\u0301" : "\u0327";
  CHECK(prepared(marks).size() < marks.size());
  const std::string ascii(1 << 20, 'x');
  CHECK(prepared(ascii) == ascii);
  const std::string bytes(1 << 20, '\xff');
  CHECK(prepared(bytes) == bytes);
}

}  // namespace saslprep_test
