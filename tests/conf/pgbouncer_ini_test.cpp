// PgBouncer's file as texts with their lines.
#include "conf/pgbouncer_ini.hpp"

#include <catch2/catch.hpp>

#include <map>

namespace pgbouncer_ini_test {

namespace {

using texts = std::map<std::string, std::string>;

conf::ini_reading read(std::string_view text, const texts& others = {}) {
  return conf::read_pgbouncer_ini(text, "p.ini",
                                  [&](const std::string& name) -> std::expected<std::string, std::string> {
                                    const auto found = others.find(name);
                                    if (found == others.end()) return std::unexpected("No such file or directory");
                                    return found->second;
                                  });
}

std::vector<std::string> told(const conf::ini_reading& reading) {
  std::vector<std::string> lines;
  for (const auto& one : reading.entries)
    lines.push_back(conf::at_entry(one, one.section + "|" + one.key + "|" + one.value));
  return lines;
}

using lines = std::vector<std::string>;

}  // namespace

TEST_CASE("pgbouncer.ini: sections, comments, values") {
  const auto reading = read(
      "; comment\n# another\n\n[databases]\n* = host=a ; no comment\n  \"a b\" =\n'c d'=x\r\n[pgbouncer] ; here it is "
      "one\n"
      "a.b-c_1 \t= 1 \n\t[users]\nu = ");
  CHECK(reading.errors.empty());
  CHECK(told(reading) == lines{"p.ini:5: databases|*|host=a ; no comment", "p.ini:6: databases|a b|",
                               "p.ini:7: databases|c d|x", "p.ini:9: pgbouncer|a.b-c_1|1", "p.ini:11: users|u|"});
}

TEST_CASE("pgbouncer.ini: a section goes on through includes and after them") {
  const auto reading = read("[databases]\n%include one.ini\nc = 3\n", {{"one.ini", "a = 1\n[users]\nb = 2\n"}});
  CHECK(reading.errors.empty());
  CHECK(told(reading) == lines{"one.ini:1: databases|a|1", "one.ini:3: users|b|2", "p.ini:3: users|c|3"});
}

TEST_CASE("pgbouncer.ini: what is wrong, without a word of it") {
  const std::string setting = ": no setting; write name = value, [section], %include FILE, or ; and a comment";
  CHECK(read("a = 1\n").errors == lines{"p.ini:1: stands in no section; write [pgbouncer] or another above it"});
  CHECK(read("[p]\nsecret\n\n= secret\nse cret = 1\n'secret = 1\n").errors ==
        lines{"p.ini:2" + setting, "p.ini:4" + setting, "p.ini:5" + setting, "p.ini:6" + setting});
  CHECK(read("[p\n[p] x = 1\n").errors ==
        lines{"p.ini:1: a section's name needs a ] behind it", "p.ini:2: what follows ] belongs on a line of its own"});
  CHECK(read("%include\n%includes x\n%include none.ini\n").errors ==
        lines{"p.ini:1: write %include, a blank and the file's name",
              "p.ini:2: write %include, a blank and the file's name",
              "p.ini:3: cannot read \"none.ini\": No such file or directory"});
  CHECK(read("[p]\na = \xff\n").errors == lines{"p.ini:2: not UTF-8, or a control character"});
  CHECK(read(std::string("[p]\n\na = \0", 10)).errors == lines{"p.ini:3: not UTF-8, or a control character"});
}

TEST_CASE("pgbouncer.ini: includes of themselves end") {
  CHECK(read("%include a\n", {{"a", "%include a\n"}}).errors == lines{"a:1: includes are nested too deep"});
  const auto many = read("%include a\n", {{"a", "%include a\n%include a\n%include a\n%include a\n"}});
  CHECK(many.errors.size() == 100);
}

TEST_CASE("connection strings") {
  const auto pairs = [](std::string_view text) {
    std::string told;
    const auto parsed = conf::parse_connection_string(text);
    if (!parsed) return parsed.error();
    for (const auto& one : *parsed) told += "<" + one.key + "|" + one.value + ">";
    return told;
  };
  CHECK(pairs("") == "");
  CHECK(pairs("  host=a  port = 5432 ") == "<host|a><port|5432>");
  CHECK(pairs("password='it''s; x=1' user=b") == "<password|it's; x=1><user|b>");
  CHECK(pairs("connect_query='SELECT 1'user=b") == "<connect_query|SELECT 1><user|b>");
  CHECK(pairs("host=a secret") == "name=value must stand at character 8 of the connection string");
  CHECK(pairs("=a") == "name=value must stand at character 1 of the connection string");
  CHECK(pairs("host=") == "a value must stand at character 6 of the connection string");
  CHECK(pairs("host=''") == "a value must stand at character 8 of the connection string");
  CHECK(pairs("a=1 password='secret") == "a quote is not closed that begins at character 14 of the connection string");
}

}  // namespace pgbouncer_ini_test
