#include "conf/names.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace names_test {

TEST_CASE("addresses", "[names]") {
  struct good {
    std::string text, host;
    std::optional<std::uint16_t> port;
  };
  for (const good& one : std::vector<good>{{"localhost", "localhost", {}},
                                           {"pg1.internal:5432", "pg1.internal", 5432},
                                           {"127.0.0.1:1", "127.0.0.1", 1},
                                           {"*:6432", "*", 6432},
                                           {"*", "*", {}},
                                           {"[::1]", "::1", {}},
                                           {"[::1]:65535", "::1", 65535},
                                           {"[fe80::1%eth0]:5432", "fe80::1%eth0", 5432},
                                           {"/run/postgresql", "/run/postgresql", {}},
                                           {"/run/postgresql:5433", "/run/postgresql", 5433},
                                           {"/run/with:colon", "/run/with:colon", {}}}) {
    INFO(one.text);
    const auto read = conf::parse_address(one.text);
    REQUIRE(read);
    CHECK(read->host == one.host);
    CHECK(read->port == one.port);
  }
  for (const auto* bad : {"",       ":",   ":5432",    "5432", "a:",        "a:0",  "a:65536",   "a:05432",
                          "a:-1",   "::1", "::1:5432", "[::1", "[]",        "[]:1", "[a]:1",     "[::1]5432",
                          "[::1]:", "a b", "a,b",      "a/b",  "user@host", "a\nb", "/run:99999"}) {
    INFO(bad);
    CHECK_FALSE(conf::parse_address(bad));
  }
  CHECK_FALSE(conf::parse_address(std::string(300, 'a')));
}

TEST_CASE("names of settings", "[names]") {
  for (const auto* good : {"work_mem", "app.tenant", "_x", "a$1", "a.b.c", "TimeZone"})
    CHECK_FALSE(conf::setting_name_problem(good));
  for (const auto* bad : {"", ".", "a.", ".a", "a..b", "1a", "a.1", "a b", "a-b", "a=b", "$a", "é", "user", "DATABASE",
                          "Options", "replication"}) {
    INFO(bad);
    CHECK(conf::setting_name_problem(bad));
  }
  CHECK(conf::setting_name_problem(std::string(64, 'a')));
  CHECK(conf::same_setting("TimeZone", "timezone"));
  CHECK_FALSE(conf::same_setting("a", "ab"));
}

TEST_CASE("identifiers", "[names]") {
  CHECK_FALSE(conf::identifier_problem("Any thing, \"quoted\" or not: é"));
  CHECK_FALSE(conf::identifier_problem(std::string(63, 'x')));
  CHECK(conf::identifier_problem(std::string(64, 'x')));
  CHECK(conf::identifier_problem(""));
  CHECK(conf::identifier_problem("a\tb"));
  CHECK(conf::identifier_problem(std::string_view("a\0b", 3)));
}

}  // namespace names_test
