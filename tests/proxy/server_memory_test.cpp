#include "proxy/server_memory.hpp"

#include <catch2/catch.hpp>

using routing::host;

TEST_CASE("a host lately seen as standby is tried last, until that fades or it is a primary again") {
  proxy::server_memory memory;
  const std::vector<host> hosts{{"a", 1}, {"b", 1}, {"c", 1}};
  const auto now = proxy::clock::now();
  CHECK(memory.in_order(hosts, now) == hosts);

  memory.saw_no_primary(hosts[0], now);
  CHECK(memory.in_order(hosts, now) == std::vector<host>{hosts[1], hosts[2], hosts[0]});
  CHECK(memory.in_order(hosts, now + proxy::server_memory::suspicion) == hosts);

  memory.saw_primary(hosts[0]);
  CHECK(memory.in_order(hosts, now) == hosts);
}

TEST_CASE("when all are standbys, the order is as configured") {
  proxy::server_memory memory;
  const std::vector<host> hosts{{"a", 1}, {"a", 2}};
  const auto now = proxy::clock::now();
  for (const host& one : hosts) memory.saw_no_primary(one, now);
  CHECK(memory.in_order(hosts, now) == hosts);
}
