// Addresses and networks: what is read, what is refused, and who is in.
#include "conf/network.hpp"

#include <catch2/catch.hpp>

namespace network_test {

using namespace conf;

namespace {

std::string read_back(std::string_view text) {
  const auto address = parse_ip(text);
  return address ? to_string(*address) : "refused";
}

std::string network_of(std::string_view text) {
  const auto net = parse_network(text);
  return net ? to_string(*net) : net.error();
}

bool is_in(std::string_view net, std::string_view address) {
  return contains(parse_network(net).value(), parse_ip(address).value());
}

}  // namespace

TEST_CASE("addresses are read and written in one form") {
  const auto [text, written] = GENERATE(table<const char*, const char*>({
      {"192.0.2.7", "192.0.2.7"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
      {"1:0:0:2:3:0:0:4", "1::2:3:0:0:4"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
      {"64:ff9b::192.0.2.7", "64:ff9b::c000:207"},
      {"::ffff:192.0.2.7", "192.0.2.7"},
      {"::ffff:c000:207", "192.0.2.7"},
  }));
  CHECK(read_back(text) == written);
}

TEST_CASE("what is not an address is refused") {
  const auto* text =
      GENERATE("", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "1..2.3", "a.b.c.d", "-1.2.3.4",
               "0x1.2.3.4", ":", ":::", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4::5:6:7:8", "1::2::3",
               "12345::", "g::", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5", "fe80::1%eth0", "[::1]", "localhost",
               "::ffff:1.2.3.4.5", ":1", "1:", "::1:");
  CHECK(read_back(text) == "refused");
}

TEST_CASE("networks are read strictly") {
  CHECK(network_of("10.0.0.0/8") == "10.0.0.0/8");
  CHECK(network_of("10.1.2.3") == "10.1.2.3/32");
  CHECK(network_of("0.0.0.0/0") == "0.0.0.0/0");
  CHECK(network_of("2001:db8::/32") == "2001:db8::/32");
  CHECK(network_of("::/0") == "::/0");
  CHECK(network_of("::1") == "::1/128");
  CHECK(network_of("::ffff:10.0.0.0/104") == "10.0.0.0/8");
  CHECK(network_of("::ffff:0:0/96") == "0.0.0.0/0");
  CHECK(network_of("10.0.0.1/8") ==
        "\"10.0.0.1/8\" has bits behind its prefix; write 10.0.0.0/8 for the network, or the address alone");
  CHECK(network_of("10.0.0.0/33") == "\"10.0.0.0/33\" has no prefix of 0 to 32 bits behind its slash");
  CHECK(network_of("2001:db8::/129") == "\"2001:db8::/129\" has no prefix of 0 to 128 bits behind its slash");
  const auto* bad = GENERATE("10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8/8", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/8 ",
                             "/8", "all", "10.0.0.0 255.0.0.0");
  CHECK_FALSE(parse_network(bad));
}

TEST_CASE("who is in a network") {
  CHECK(is_in("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(is_in("10.0.0.0/8", "11.0.0.0"));
  CHECK(is_in("10.0.0.0/8", "::ffff:10.9.9.9"));
  CHECK(is_in("192.0.2.6/31", "192.0.2.7"));
  CHECK_FALSE(is_in("192.0.2.6/31", "192.0.2.8"));
  CHECK(is_in("192.0.2.7", "192.0.2.7"));
  CHECK(is_in("0.0.0.0/0", "203.0.113.9"));
  CHECK_FALSE(is_in("0.0.0.0/0", "::1"));
  CHECK_FALSE(is_in("::/0", "203.0.113.9"));
  CHECK_FALSE(is_in("::/0", "::ffff:203.0.113.9"));
  CHECK(is_in("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(is_in("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(is_in("::1", "::1"));
}

}  // namespace network_test
