#include "protocol/redacted_statement.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace redacted_statement_test {

namespace {

std::string told(std::string_view statement) { return pgwire::without_values(statement, 200); }

}  // namespace

TEST_CASE("a statement is told without its values", "[redacted]") {
  CHECK(told("SELECT * FROM t1 WHERE a = 'secret' AND b > 42") == "SELECT * FROM t1 WHERE a = ? AND b > ?");
  CHECK(told("  SELECT\n\t1.5e-7, .5, 0xFF, 1_000, -3 ") == "SELECT ?, ?, ?, ?, -?");
  CHECK(told("INSERT INTO \"T 1\" VALUES ('it''s', E'a\\'b', $1, X'ff', U&'x')") ==
        "INSERT INTO \"T 1\" VALUES (?, ?, $1, ?, ?)");
  CHECK(told("SELECT 1 -- secret\n, /* s /* e */ cret */ 2") == "SELECT ? , ?");
  CHECK(told("DO $x$ secret $$ secret $x$; SELECT $$secret$$") == "DO ?; SELECT ?");
  CHECK(told("SELECT e.id, b.x FROM e, b") == "SELECT e.id, b.x FROM e, b");
  CHECK(told("UPDATE t SET a = 5, b = 'x' WHERE c = 3") == "UPDATE t SET a = ?, b = ? WHERE c = ?");
  CHECK(told("") == "");
}

TEST_CASE("what a setting is given is a value, quoted or not", "[redacted]") {
  CHECK(told("SET app.key TO secret") == "SET app.key TO ? ...");
  CHECK(told("set local \"app.key\" = secret; SELECT 1") == "set local \"app.key\" = ? ...");
  CHECK(told("SELECT 1; SET SESSION app.key = 'secret'") == "SELECT ?; SET SESSION app.key = ? ...");
  CHECK(told("ALTER ROLE r SET app.key TO secret") == "ALTER ROLE r SET app.key TO ? ...");
  CHECK(told("ALTER ROLE r PASSWORD 'secret'") == "ALTER ROLE r PASSWORD ?");
}

TEST_CASE("where a literal may end is not guessed", "[redacted]") {
  CHECK(told("SELECT 'a\\' secret ', 'secret'") == "SELECT ? ...");
  CHECK(told("SELECT 'a\\\\' secret '") == "SELECT ? ...");
  CHECK(told("SELECT 'C:\\secret', x") == "SELECT ?, x");
  CHECK(told("SELECT E'\x95\\' secret '") == "SELECT ? ...");
  CHECK(told("SELECT 'secret") == "SELECT ? ...");
  CHECK(told("SELECT $a$secret") == "SELECT ? ...");
  CHECK(told("SELECT \"secret") == "SELECT ...");
  CHECK(told("SELECT /* secret") == "SELECT");
}

TEST_CASE("a long statement is cut", "[redacted]") {
  CHECK(pgwire::without_values("SELECT aaaa, bbbb, cccc", 12) == "SELECT aaaa, ...");
  CHECK(told("SELECT " + std::string(500, 'x')).size() <= 204);
}

}  // namespace redacted_statement_test
