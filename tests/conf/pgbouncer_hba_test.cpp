// PgBouncer's hba file as rules: what can be said is, and what cannot refuses.
#include "conf/pgbouncer_hba.hpp"

#include <catch2/catch.hpp>

namespace pgbouncer_hba_test {

namespace {

using lines = std::vector<std::string>;

lines rules(std::string_view text, bool has_secrets = true) {
  lines told;
  for (const conf::auth_rule& rule : conf::read_pgbouncer_hba(text, has_secrets).rules) {
    std::string line = rule.tls ? *rule.tls ? "tls " : "plain " : "";
    if (rule.from == conf::auth_rule::origin::unix_socket) line += "unix ";
    if (rule.from == conf::auth_rule::origin::network) line += to_string(rule.network) + " ";
    if (!rule.database.empty()) line += "db=" + rule.database + " ";
    if (!rule.role.empty()) line += "role=" + rule.role + " ";
    told.push_back(line + std::string(to_string(rule.method)));
  }
  REQUIRE(!told.empty());
  REQUIRE(told.back() == "reject");
  told.pop_back();
  return told;
}

lines remarks(std::string_view text, bool has_secrets = true) {
  lines told;
  for (const auto& one : conf::read_pgbouncer_hba(text, has_secrets).remarks)
    told.push_back(std::to_string(one.line) + ": " + one.what);
  return told;
}

}  // namespace

TEST_CASE("hba: lines that can be said") {
  CHECK(rules("").empty());
  CHECK(rules("# nothing\n\n   \n").empty());
  CHECK(rules("local all all trust # why\n") == lines{"unix trust"});
  CHECK(rules("host all all all md5") == lines{"0.0.0.0/0 md5", "::/0 md5"});
  CHECK(rules("hostssl crm app 10.0.0.0/8 scram-sha-256\r\nhostnossl all all 0.0.0.0/0 reject") ==
        lines{"tls 10.0.0.0/8 db=crm role=app scram-sha-256", "plain 0.0.0.0/0 reject"});
  CHECK(rules("host a, b \"all\",d 10.1.2.3 255.255.0.0 password") ==
        lines{"10.1.0.0/16 db=a role=all password", "10.1.0.0/16 db=a role=d password",
              "10.1.0.0/16 db=b role=all password", "10.1.0.0/16 db=b role=d password"});
  CHECK(rules("host all all fe80::1/10 cert") == lines{"fe80::/10 cert"});
  CHECK(rules("host a,all all ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff trust") == lines{"::1/128 trust"});
}

TEST_CASE("hba: a line that cannot be said refuses whom it may have been about") {
  CHECK(rules("host sameuser app 10.0.0.0/8 trust") == lines{"10.0.0.0/8 role=app reject"});
  CHECK(rules("host crm @admins 10.0.0.0/8 reject") == lines{"10.0.0.0/8 db=crm reject"});
  CHECK(rules("local all all peer") == lines{"unix reject"});
  CHECK(rules("hostssl all all all cert map=people") == lines{"tls 0.0.0.0/0 reject", "tls ::/0 reject"});
  CHECK(rules("host all all ::ffff:10.0.0.0/104 trust") == lines{"0.0.0.0/0 reject", "::/0 reject"});
  CHECK(rules("host all app 10.0.0.0/8 md5", false) == lines{"10.0.0.0/8 role=app reject"});
  CHECK(remarks("\nlocal all all peer") ==
        lines{"2: written as method: reject, for there is no counterpart of the method peer; "
              "write a rule that says what you want instead"});
}

TEST_CASE("hba: what PgBouncer passes over is passed over") {
  for (const char* line :
       {"hostgssenc all all all trust", "host all +admins all trust", "host samerole all all trust",
        "host all all samenet trust", "host all all db.example trust", "host all all 10.0.0.0/33 trust",
        "host all all 10.0.0.0 255.0.255.0 trust", "host all all 10.0.0.0 trust", "host all all all pam",
        "host all all all", "host sameuser +admins all peer", "host \"all all all trust", "local"}) {
    INFO(line);
    CHECK(rules(line).empty());
    const auto said = remarks(line);
    REQUIRE(said.size() == 1);
    CHECK(said.front().starts_with("1: not carried over: "));
  }
}

TEST_CASE("hba: too many rules refuse") {
  std::string names = "a0";
  for (int i = 1; i < 200; ++i) names += ",a" + std::to_string(i);
  const auto reading = conf::read_pgbouncer_hba("local " + names + " " + names + " trust\nlocal all all trust\n", true);
  CHECK(reading.rules.size() == 10'001);
  CHECK(reading.rules.back().method == conf::auth_method::reject);
  CHECK(reading.remarks.size() == 1);
}

}  // namespace pgbouncer_hba_test
