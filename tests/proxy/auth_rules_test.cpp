// Which rule decides, and for whom.
#include "proxy/auth/auth_rules.hpp"

#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <catch2/catch.hpp>
#include <vector>

#include "proxy/auth/peer_address.hpp"

namespace auth_rules_test {

using namespace proxy;
using conf::auth_method;
using conf::auth_rule;

namespace {

auth_rule rule_for(std::string_view network, auth_method method = auth_method::trust) {
  auth_rule rule;
  rule.method = method;
  if (network == "unix") {
    rule.from = auth_rule::origin::unix_socket;
  } else if (!network.empty()) {
    rule.from = auth_rule::origin::network;
    rule.network = conf::parse_network(network).value();
  }
  return rule;
}

auth_facts client(std::string_view address) {
  auth_facts facts;
  if (address != "unix") facts.peer = conf::parse_ip(address).value();
  facts.database = "crm";
  facts.role = "app";
  facts.tenant = "trial-7";
  return facts;
}

}  // namespace

TEST_CASE("the address decides") {
  const auto [rule, address, does_fit] = GENERATE(table<const char*, const char*, bool>({
      {"", "192.0.2.7", true},
      {"", "unix", true},
      {"unix", "unix", true},
      {"unix", "192.0.2.7", false},
      {"0.0.0.0/0", "unix", false},
      {"10.0.0.0/8", "10.1.1.1", true},
      {"10.0.0.0/8", "::ffff:10.1.1.1", true},
      {"10.0.0.0/8", "11.1.1.1", false},
      {"::1", "::1", true},
      {"::1", "127.0.0.1", false},
  }));
  CAPTURE(rule, address);
  CHECK(fits(rule_for(rule), client(address)) == does_fit);
}

TEST_CASE("everything a rule says must fit") {
  auth_rule rule = rule_for("10.0.0.0/8");
  auth_facts facts = client("10.0.0.1");
  facts.tls = true;
  rule.tls = true;
  rule.database = "crm";
  rule.role = "app";
  rule.tenant = "trial-*";
  CHECK(fits(rule, facts));

  SECTION("encryption") { facts.tls = false; }
  SECTION("address") { facts.peer = std::nullopt; }
  SECTION("database") { facts.database = "crm2"; }
  SECTION("database, in part") { rule.database = "cr"; }
  SECTION("role") { facts.role = "App"; }
  SECTION("tenant") { facts.tenant = "acme"; }
  SECTION("no tenant") { facts.tenant = ""; }
  SECTION("a database is no pattern") { rule.database = "*"; }
  SECTION("a role is no pattern") { rule.role = "a*"; }
  CHECK_FALSE(fits(rule, facts));
}

TEST_CASE("a pattern for every tenant fits no session without one") {
  auth_rule rule = rule_for("");
  rule.tenant = "*";
  auth_facts facts = client("unix");
  CHECK(fits(rule, facts));
  facts.tenant = "";
  CHECK_FALSE(fits(rule, facts));
}

TEST_CASE("without TLS, Unix sockets included, a rule for plain text fits") {
  auth_rule rule = rule_for("");
  rule.tls = false;
  CHECK(fits(rule, client("unix")));
  CHECK(fits(rule, client("192.0.2.7")));
}

TEST_CASE("the first rule that fits decides, else auth.method") {
  conf::auth_settings settings;
  settings.method = auth_method::scram_sha_256;
  settings.rules = {rule_for("unix", auth_method::trust), rule_for("10.9.0.0/16", auth_method::reject),
                    rule_for("10.0.0.0/8", auth_method::cert), rule_for("10.0.0.0/8", auth_method::password)};
  const auto decided = [&](std::string_view address) {
    const auto decision = method_for(settings, client(address));
    return std::string(conf::to_string(decision.method)) + " by " + to_string(decision);
  };
  CHECK(decided("unix") == "trust by auth.rules[0]");
  CHECK(decided("10.9.1.1") == "reject by auth.rules[1]");
  CHECK(decided("10.8.1.1") == "cert by auth.rules[2]");
  CHECK(decided("192.0.2.7") == "scram-sha-256 by auth.method");
}

TEST_CASE("a database that only the console may be named by fits no rule for it") {
  auth_rule rule = rule_for("");
  auth_facts facts = client("unix");
  facts.database = {};
  CHECK(fits(rule, facts));
  rule.database = "pglodge";
  CHECK_FALSE(fits(rule, facts));
}

TEST_CASE("what is enough for another tenant") {
  using enum auth_method;
  constexpr std::array all{trust, password, md5, scram_sha_256, cert, passthrough, reject};
  const auto enough_by = [&](auth_method passed) {
    std::vector<auth_method> made;
    for (const auth_method wanted : all) {
      if (is_enough(passed, wanted)) made.push_back(wanted);
    }
    return made;
  };
  CHECK(enough_by(trust) == std::vector{trust});
  CHECK(enough_by(password) == std::vector{trust, password});
  CHECK(enough_by(md5) == std::vector{trust, password, md5});
  CHECK(enough_by(scram_sha_256) == std::vector{trust, password, md5, scram_sha_256});
  CHECK(enough_by(cert) == std::vector{trust, cert});
}

TEST_CASE("addresses come from sockets' addresses") {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_addr.s_addr = htonl(0xc0000207);
  CHECK(to_string(ip_of(endpoint(&v4, sizeof v4)).value()) == "192.0.2.7");

  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_addr.s6_addr[0] = 0x20;
  v6.sin6_addr.s6_addr[15] = 1;
  CHECK(to_string(ip_of(endpoint(&v6, sizeof v6)).value()) == "2000::1");

  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  CHECK_FALSE(ip_of(endpoint(&local, sizeof local)));
}

TEST_CASE("a neighbourhood is an IPv4 address or a /64") {
  const auto of = [](std::string_view text) { return to_string(neighbourhood(conf::parse_ip(text).value())); };
  CHECK(of("192.0.2.7") == "192.0.2.7");
  CHECK(of("::ffff:192.0.2.7") == "192.0.2.7");
  CHECK(of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::");
}

}  // namespace auth_rules_test
