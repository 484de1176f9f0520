#include "proxy/server_memory.hpp"

#include <catch2/catch.hpp>
#include <memory>

namespace server_memory_test {

using proxy::host_role;
using routing::host;

TEST_CASE("a host lately seen as standby is tried last, until that fades or it is a primary again") {
  proxy::server_memory memory;
  const std::vector<host> hosts{{"a", 1}, {"b", 1}, {"c", 1}};
  const auto now = proxy::clock::now();
  CHECK(memory.in_order(hosts, now) == hosts);

  memory.saw(hosts[0], host_role::standby, now);
  CHECK(memory.in_order(hosts, now) == std::vector<host>{hosts[1], hosts[2], hosts[0]});
  CHECK(memory.in_order(hosts, now + proxy::server_memory::suspicion) == hosts);

  memory.saw(hosts[0], host_role::primary, now);
  CHECK(memory.in_order(hosts, now) == hosts);
}

TEST_CASE("when all are standbys, the order is as configured") {
  proxy::server_memory memory;
  const std::vector<host> hosts{{"a", 1}, {"a", 2}};
  const auto now = proxy::clock::now();
  for (const host& one : hosts) memory.saw(one, host_role::down, now, "refused");
  CHECK(memory.in_order(hosts, now) == hosts);
}

TEST_CASE("what was seen of a host last is known, since when, and its last trouble") {
  using namespace std::chrono_literals;
  proxy::server_memory memory;
  const host pg1{"pg1", 5432};
  const proxy::clock::time_point begin{1h};
  CHECK(memory.last_sight(pg1).role == host_role::unknown);
  CHECK_FALSE(memory.last_sight(pg1).since);

  memory.saw(pg1, host_role::down, begin, "Connection refused");
  memory.saw(pg1, host_role::primary, begin + 1s);
  memory.saw(pg1, host_role::primary, begin + 2s);
  memory.saw_trouble(pg1, "it offers no TLS", begin + 3s);
  const auto seen = memory.last_sight(pg1);
  CHECK(seen.role == host_role::primary);
  CHECK(seen.since == begin + 1s);
  CHECK(seen.asked == begin + 3s);
  CHECK(seen.trouble == "it offers no TLS");
  CHECK(seen.trouble_at == begin + 3s);

  routing::table_parts table;
  table.servers["main"] = std::make_shared<const routing::server>(routing::server{.name = "main", .hosts = {pg1}});
  memory.keep_only(table);
  CHECK(memory.last_sight(pg1).since);
  table.servers.clear();
  memory.keep_only(table);
  CHECK_FALSE(memory.last_sight(pg1).since);
}

TEST_CASE("who answers is not down, and what it is has yet to be found out") {
  using namespace std::chrono_literals;
  proxy::server_memory memory;
  const host pg1{"pg1", 5432};
  const proxy::clock::time_point begin{1h};
  memory.saw(pg1, host_role::down, begin, "Connection refused");
  memory.saw_answer(pg1, begin + 1s);
  CHECK(memory.last_sight(pg1).role == host_role::unknown);
  CHECK(memory.last_sight(pg1).since == begin + 1s);
  memory.saw(pg1, host_role::standby, begin + 2s);
  memory.saw_answer(pg1, begin + 3s);
  CHECK(memory.last_sight(pg1).role == host_role::standby);
  CHECK(memory.last_sight(pg1).since == begin + 2s);
  CHECK(memory.last_sight(pg1).asked == begin + 3s);
}

TEST_CASE("refused logins are counted by server, as long as it is in the table") {
  proxy::server_memory memory;
  CHECK(memory.refused_logins("main") == 0);
  memory.refused_login("main");
  memory.refused_login("main");
  CHECK(memory.refused_logins("main") == 2);
  CHECK(memory.refused_logins("big") == 0);
  memory.keep_only({});
  CHECK(memory.refused_logins("main") == 0);
}

}  // namespace server_memory_test
