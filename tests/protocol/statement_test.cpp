// What statements do to their session, in honest and in hostile spellings.
#include "protocol/statement.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <utility>

namespace statement_test {

using namespace pgwire;

namespace {

constexpr auto trait_names = std::to_array<std::pair<trait, std::string_view>>({
    {trait::reset_all, "reset_all"},
    {trait::discard_all, "discard_all"},
    {trait::prepared, "prepared"},
    {trait::deallocate_all, "deallocate_all"},
    {trait::listening, "listening"},
    {trait::temporary, "temporary"},
    {trait::hold_cursor, "hold_cursor"},
    {trait::advisory_lock, "advisory_lock"},
    {trait::load, "load"},
    {trait::random_seed, "random_seed"},
    {trait::reads_sequence, "reads_sequence"},
    {trait::discards_sequences, "discards_sequences"},
    {trait::discards_plans, "discards_plans"},
    {trait::drops, "drops"},
    {trait::defines, "defines"},
    {trait::lingering, "lingering"},
    {trait::keeps, "keeps"},
    {trait::unseen, "unseen"},
    {trait::ambiguous, "ambiguous"},
    {trait::plain_only, "plain_only"},
    {trait::escaped_only, "escaped_only"},
    {trait::two_faced, "two_faced"},
    {trait::begins, "begins"},
    {trait::ends_transaction, "ends_transaction"},
    {trait::session_identity, "session_identity"},
});

std::string show(const operand& value) {
  switch (value.from) {
    case operand::source::constant: return "<" + value.text + ">";
    case operand::source::bound: return "$" + std::to_string(value.parameter);
    case operand::source::unknown: return "?";
  }
  return {};
}

// One line: `0:local <a>=<x>,<y>` for each setting with its statement, then names and traits.
std::string show(const verdict& judged) {
  std::string line;
  const auto add = [&](const std::string& word) {
    if (!line.empty()) line.push_back(' ');
    line += word;
  };
  for (const auto& setting : judged.settings) {
    std::string word = std::to_string(setting.statement) + (setting.local ? ":local " : ":") + show(setting.name) + "=";
    for (const auto& value : setting.values) {
      if (&value != &setting.values.front()) word += ",";
      word += show(value);
    }
    add(word);
  }
  for (const auto& name : judged.prepares) add("prepares:" + name);
  for (const auto& name : judged.executes) add("executes:" + name);
  for (const auto& name : judged.deallocates) add("deallocates:" + name);
  for (const auto& [which, name] : trait_names) {
    if (judged.traits.has(which)) add(std::string(name));
  }
  return line;
}

struct example {
  std::string_view text;
  std::string_view does;
};

void check_all(std::initializer_list<example> examples) {
  for (const auto& [text, does] : examples) {
    CAPTURE(text);
    CHECK(show(judge(text)) == does);
  }
}

// Of what is read in one way only, as far as it is.
bool finds_nothing(const verdict& read) {
  verdict found = read;
  if (found.traits.has_any({trait::plain_only, trait::escaped_only})) {
    found.traits = found.traits.without({trait::unseen, trait::plain_only, trait::escaped_only});
  }
  return found.harmless();
}

constexpr std::string_view all_discarded =
    "reset_all discard_all prepared deallocate_all listening temporary hold_cursor advisory_lock discards_sequences "
    "discards_plans drops";

}  // namespace

TEST_CASE("SET and RESET in all their forms") {
  check_all({
      {"SET search_path TO a, b", "0:<search_path>=<a>,<b>"},
      {"set search_path = 'a, b'", "0:<search_path>=<a, b>"},
      {"SET SEARCH_PATH = \"A b\", 'C', $user", "unseen"},
      {"SET Search_Path = \"$user\", public;", "0:<search_path>=<$user>,<public>"},
      {"SET SESSION search_path = x", "0:<search_path>=<x>"},
      {"SET LOCAL search_path = x", "0:local <search_path>=<x>"},
      {"SET \"search_path\" = x", "0:<search_path>=<x>"},
      {"SET \"Search_Path\" = x", "0:<search_path>=<x>"},
      {"SET U&\"se\\0061rch_path\" = x", "0:<search_path>=<x>"},
      {"SET U&\"se!0061rch_path\" UESCAPE '!' = x", "0:<search_path>=<x>"},
      {"SET search_path = U&'\\0061b'", "0:<search_path>=<ab> unseen plain_only"},
      {"SET search_path = E'a\\x62'", "0:<search_path>=<ab>"},
      {"SET search_path = $$a$$", "0:<search_path>=<a>"},
      {"/* x */ SET -- y\n search_path /* z /* nested */ */ TO a", "0:<search_path>=<a>"},
      {"\t\n SET\nsearch_path\nTO\na", "0:<search_path>=<a>"},
      {";;SET search_path = a", "0:<search_path>=<a>"},
      {"SELECT 1; SET search_path = a", "1:<search_path>=<a>"},
      {"SELECT ';'; SET search_path = a", "1:<search_path>=<a>"},
      {"SELECT 1;/**/SET search_path = a;SET role b", "1:<search_path>=<a> 2:<role>=<b> session_identity"},
      {"SELECT 1 -- ;\n;SET x.y = 1", "1:<x.y>=<1>"},
      {"SELECT $$;$$; SET x.y = 1", "1:<x.y>=<1>"},
      {"SELECT $a$ ' $a$; SET x.y = '1'", "1:<x.y>=<1>"},
      {"SELECT E'\\''; SET x.y = 1", "1:<x.y>=<1>"},
      {"SELECT 'a\\'; SET x.y = 1", "1:<x.y>=<1> unseen plain_only"},
      {"SELECT /* ' */ 1; SET x.y = 1 /* ' */", "1:<x.y>=<1>"},
      {"SELECT \"'\"; SET x.y = 1 --'", "1:<x.y>=<1>"},
      {"SET work_mem = 64", "0:<work_mem>=<64>"},
      {"SET work_mem = -1", "0:<work_mem>=<-1>"},
      {"SET sort_mem = '64MB'", "0:<work_mem>=<64MB>"},
      {"SET seq_page_cost = 1.50", "0:<seq_page_cost>=<1.50>"},
      {"SET seq_page_cost = -.5", "0:<seq_page_cost>=<-.5>"},
      {"SET statement_timeout = 0", "0:<statement_timeout>=<0>"},
      {"SET app.n = 99999999999", "0:<app.n>=<99999999999>"},
      {"SET enable_seqscan = off", "0:<enable_seqscan>=<off>"},
      {"SET enable_seqscan = ON", "0:<enable_seqscan>=<on>"},
      {"SET enable_seqscan = true", "0:<enable_seqscan>=<true>"},
      {"SET enable_seqscan = FALSE", "0:<enable_seqscan>=<false>"},
      {"SET app.tenant = 'glo''bex'", "0:<app.tenant>=<glo'bex>"},
      {"SET App.\"Tenant\" = X", "0:<app.tenant>=<x>"},
      {"SET a.b.c = ''", "0:<a.b.c>=<>"},
      {"SET T\xc4\xb0MEZONE = 'UTC'", "0:<t\xc4\xb0mezone>=<UTC> unseen"},
      {"SET x TO DEFAULT", "0:<x>="},
      {"SET LOCAL x = DEFAULT", "0:local <x>="},
      {"RESET x", "0:<x>="},
      {"reset a.b", "0:<a.b>="},
      {"RESET ALL", "reset_all"},
      {"SET TIME ZONE 'Europe/Rome'", "0:<timezone>=<Europe/Rome>"},
      {"SET TIME ZONE UTC", "0:<timezone>=<utc>"},
      {"SET TIME ZONE -7", "0:<timezone>=<-7>"},
      {"SET TIME ZONE 5.5", "0:<timezone>=<5.5>"},
      {"SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "0:<timezone>=?"},
      {"SET TIME ZONE LOCAL", "0:<timezone>="},
      {"SET TIME ZONE DEFAULT", "0:<timezone>="},
      {"SET LOCAL TIME ZONE 'UTC'", "0:local <timezone>=<UTC>"},
      {"SET TimeZone = 'UTC'", "0:<timezone>=<UTC>"},
      {"RESET TIME ZONE", "0:<timezone>="},
      {"SET NAMES 'UTF8'", "0:<client_encoding>=<UTF8>"},
      {"SET NAMES", "0:<client_encoding>="},
      {"SET NAMES DEFAULT", "0:<client_encoding>="},
      {"SET SCHEMA 'a b'", "0:<search_path>=<a b>"},
      {"SET XML OPTION DOCUMENT", "0:<xmloption>=<DOCUMENT>"},
      {"SET SEED TO 0.5", "random_seed keeps"},
      {"SET seed = 0.5", "random_seed keeps"},
      {"SET ROLE bob", "0:<role>=<bob> session_identity"},
      {"SET ROLE 'Bob'", "0:<role>=<Bob> session_identity"},
      {"SET ROLE NONE", "0:<role>=<none> session_identity"},
      {"SET LOCAL ROLE bob", "0:local <role>=<bob> session_identity"},
      {"SET \"ROLE\" = bob", "0:<role>=<bob> session_identity"},
      {"RESET ROLE", "0:<role>= session_identity"},
      {"SET SESSION AUTHORIZATION 'bob'", "0:<session_authorization>=<bob> keeps session_identity"},
      {"SET SESSION AUTHORIZATION DEFAULT", "0:<session_authorization>= session_identity"},
      {"RESET SESSION AUTHORIZATION", "0:<session_authorization>= session_identity"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE",
       "0:<default_transaction_isolation>=<serializable> 0:<default_transaction_read_only>=<on> "
       "0:<default_transaction_deferrable>=<off>"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "0:<default_transaction_read_only>=<off>"},
      {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", ""},
      {"SET LOCAL TRANSACTION READ ONLY", ""},
      {"SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", ""},
      {"SET transaction_isolation = 'serializable'", "0:local <transaction_isolation>=<serializable>"},
      {"SET CONSTRAINTS ALL DEFERRED", ""},
      {"SET x FROM CURRENT", "0:<x>=?"},
      {"ALTER SYSTEM SET work_mem = 1", ""},
      {"ALTER ROLE bob SET search_path = a", "defines"},
      {"ALTER DATABASE d SET search_path = a", "defines"},
      {"CREATE FUNCTION f() RETURNS int SET search_path = a LANGUAGE sql AS 'SELECT 1'", "defines"},
      {"ALTER FUNCTION f() SET search_path FROM CURRENT", "defines"},
  });
}

TEST_CASE("set_config() wherever an expression can stand") {
  constexpr std::string_view ab = "0:<a>=<b>";
  check_all({
      {"SELECT set_config('a', 'b', false)", ab},
      {"select SET_CONFIG('A', 'b', FALSE)", ab},
      {"SELECT \"set_config\"('a', 'b', false)", ab},
      {"SELECT pg_catalog.set_config('a', 'b', false)", ab},
      {"SELECT pg_catalog . /**/ set_config /**/ ('a', 'b', false)", ab},
      {"SELECT \"pg_catalog\".\"set_config\"('a', 'b', false)", ab},
      {"SELECT other.set_config('a', 'b', false)", ab},
      {"SELECT db.pg_catalog.set_config('a', 'b', false)", ab},
      {"SELECT U&\"s\\0065t_config\"('a', 'b', false)", ab},
      {"SELECT U&\"s!0065t_config\" UESCAPE '!' ('a', 'b', false)", ab},
      {"SELECT u&\"\\+000073et_config\"('a', 'b', false)", ab},
      {"SELECT set_config('a', 'b', true)", "0:local <a>=<b>"},
      {"SELECT set_config('a', 'b', 't')", "0:local <a>=<b>"},
      {"SELECT set_config('a', 'b', 'true'::boolean)", "0:local <a>=<b>"},
      {"SELECT set_config('a', 'b', 'on'::bool)", ab},
      {"SELECT set_config('a', 'b', $1)", ab},
      {"SELECT set_config('a', 'b', 1 = 1)", ab},
      {"SELECT set_config('a', NULL, false)", "0:<a>="},
      {"SELECT set_config('a', NULL::text, false)", "0:<a>="},
      {"SELECT set_config('a', '', false)", "0:<a>=<>"},
      {"SELECT set_config($1, $2, false)", "0:$1=$2"},
      {"SELECT set_config('a', $1::text, false)", "0:<a>=$1"},
      {"SELECT set_config('a', CAST($1 AS varchar), false)", "0:<a>=$1"},
      {"SELECT set_config('a', $1::varchar(2), false)", "0:<a>=?"},
      {"SELECT set_config('a'::pg_catalog.text, 'b', false)", ab},
      {"SELECT set_config('a'::varchar, 'b' COLLATE \"C\", false)", ab},
      {"SELECT set_config('a'::text, $1::text, false)", "0:?=$1 unseen"},
      {"SELECT set_config('aXX'::varchar(1), 'b', false)", "0:?=<b> unseen"},
      {"SELECT set_config('a'::name, 'b', false)", "0:?=<b> unseen"},
      {"SELECT set_config('a', 12::text, false)", "0:<a>=<12>"},
      {"SELECT set_config('a', 1e3::text, false)", "0:<a>=?"},
      {"SELECT set_config('a', true::text, false)", "0:<a>=<true>"},
      {"SELECT set_config('a', x, false) FROM t", "0:<a>=?"},
      {"SELECT set_config('a' || 'b', 'c', false)", "0:?=<c> unseen"},
      {"SELECT set_config(name, setting, false) FROM t", "0:?=? unseen"},
      {"SELECT set_config('a')", "unseen"},
      {"SELECT set_config(VARIADIC ARRAY['a', 'b', 'c'])", "unseen"},
      {"SELECT set_config(setting_name => 'a', new_value => 'b', is_local => false)", ab},
      {"SELECT set_config(is_local := true, new_value := 'b', setting_name := 'a')", "0:local <a>=<b>"},
      {"SELECT set_config('a', is_local => false, new_value => 'b')", ab},
      {"SELECT set_config('a', 'b', wrong => false)", "unseen"},
      {"SELECT set_config('role', 'bob', false)", "0:<role>=<bob> session_identity"},
      {"SELECT set_config('Session_Authorization', 'bob', false)",
       "0:<session_authorization>=<bob> keeps session_identity"},
      {"SELECT set_config('seed', '0.1', false)", "random_seed keeps"},
      {"SELECT set_config('TRANSACTION_READ_ONLY', 'on', false)", "0:local <transaction_read_only>=<on>"},
      {"SELECT 1 WHERE set_config('a', 'b', false) = 'b'", ab},
      {"SELECT (SELECT set_config('a', 'b', false))", ab},
      {"SELECT * FROM set_config('a', 'b', false) AS x", ab},
      {"SELECT * FROM ROWS FROM (set_config('a', 'b', false)) x", ab},
      {"SELECT * FROM t, LATERAL (SELECT set_config('a', 'b', false)) x", ab},
      {"SELECT * FROM t JOIN u ON set_config('a', 'b', false) = u.x", ab},
      {"SELECT 1 ORDER BY set_config('a', 'b', false)", ab},
      {"SELECT 1 GROUP BY set_config('a', 'b', false)", ab},
      {"SELECT 1 HAVING set_config('a', 'b', false) = 'b'", ab},
      {"SELECT 1 LIMIT length(set_config('a', 'b', false))", ab},
      {"SELECT count(*) FILTER (WHERE set_config('a', 'b', false) = 'b')", ab},
      {"SELECT sum(1) OVER (PARTITION BY set_config('a', 'b', false))", ab},
      {"SELECT sum(1) OVER w FROM t WINDOW w AS (ORDER BY set_config('a', 'b', false))", ab},
      {"SELECT CASE WHEN set_config('a', 'b', false) = 'b' THEN 1 END", ab},
      {"SELECT ARRAY[set_config('a', 'b', false)]", ab},
      {"SELECT ROW(set_config('a', 'b', false))", ab},
      {"SELECT (ROW(set_config('a', 'b', false))).f1", ab},
      {"SELECT COALESCE(NULL, set_config('a', 'b', false))", ab},
      {"SELECT x[length(set_config('a', 'b', false))] FROM t", ab},
      {"SELECT 1 UNION SELECT 2 UNION SELECT set_config('a', 'b', false)", ab},
      {"SELECT 1 FROM t TABLESAMPLE system (length(set_config('a', 'b', false)))", ab},
      {"SELECT xmlelement(name x, set_config('a', 'b', false))", ab},
      {"WITH x AS MATERIALIZED (SELECT set_config('a', 'b', false)) SELECT * FROM x", ab},
      {"(SELECT set_config('a', 'b', false))", ab},
      {"((SELECT set_config('a', 'b', false)))", ab},
      {"VALUES (1, set_config('a', 'b', false))", ab},
      {"INSERT INTO t VALUES (set_config('a', 'b', false))", ab},
      {"INSERT INTO t SELECT set_config('a', 'b', false)", ab},
      {"INSERT INTO t VALUES (1) ON CONFLICT (x) DO UPDATE SET y = set_config('a', 'b', false)", ab},
      {"INSERT INTO t VALUES (1) RETURNING set_config('a', 'b', false)", ab},
      {"UPDATE t SET x = set_config('a', 'b', false)", ab},
      {"UPDATE t SET (x, y) = (1, set_config('a', 'b', false))", "0:<a>=<b> 0:<a>=<b>"},
      {"DELETE FROM t USING set_config('a', 'b', false) u", ab},
      {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = set_config('a', 'b', false)", ab},
      {"EXPLAIN ANALYZE SELECT set_config('a', 'b', false)", ab},
      {"PREPARE p AS SELECT set_config('a', $1, false)", "0:<a>=$1 prepares:p prepared keeps"},
      {"EXECUTE p(set_config('a', 'b', false))", "0:<a>=<b> executes:p prepared"},
      {"COPY (SELECT set_config('a', 'b', false)) TO STDOUT", ab},
      {"COPY t FROM STDIN WHERE set_config('a', 'b', false) = 'b'", ab},
      {"CREATE TABLE t AS SELECT set_config('a', 'b', false)", "0:<a>=<b> defines"},
      {"CREATE TABLE t (x text DEFAULT set_config('a', 'b', false))", "0:<a>=<b> defines"},
      {"DECLARE c CURSOR FOR SELECT set_config('a', 'b', false)", ab},
      {"CALL p(set_config('a', 'b', false))", "0:<a>=<b> unseen"},
      {"SELECT set_config('a', set_config('c', 'd', false), false)", "0:<a>=? 0:<c>=<d>"},
      {"BEGIN; SELECT set_config('a', 'b', true); COMMIT", "1:local <a>=<b> begins ends_transaction"},
      {"SELECT SET_CONF\xc4\xb0G('a', 'b', false)", ab},
      {"SELECT 'set_config(1, 2, 3)'", ""},
      {"SELECT set_configure('a', 'b', false)", ""},
      {"SELECT set_config FROM t", ""},
      {"UPDATE pg_settings SET setting = 'b' WHERE name = 'a'", "0:?=? unseen"},
      {"UPDATE pg_catalog.\"pg_settings\" SET setting = 'b'", "0:?=? unseen"},
      {"WITH x AS (UPDATE U&\"pg\\005fsettings\" SET setting = 'b' RETURNING 1) SELECT 1", "0:?=? unseen"},
      {"UPDATE mine.pg_settings SET setting = 'b'", "unseen"},
      {"SELECT * FROM pg_settings", ""},
  });
}

TEST_CASE("what the session owns and loses") {
  check_all({
      {"PREPARE p AS SELECT 1", "prepares:p prepared keeps"},
      {"PREPARE \"P q\" (int) AS INSERT INTO t VALUES ($1)", "prepares:P q prepared keeps"},
      {"EXECUTE p", "executes:p prepared"},
      {"EXPLAIN ANALYZE EXECUTE p(1)", "executes:p prepared"},
      {"CREATE TABLE t AS EXECUTE p", "executes:p prepared defines"},
      {"CREATE TEMP TABLE t AS EXECUTE p", "executes:p prepared temporary defines keeps"},
      {"DEALLOCATE p", "deallocates:p prepared"},
      {"DEALLOCATE PREPARE p", "deallocates:p prepared"},
      {"DEALLOCATE ALL", "prepared deallocate_all"},
      {"DEALLOCATE PREPARE ALL", "prepared deallocate_all"},
      {"DEALLOCATE \"all\"", "deallocates:all prepared"},
      {"DISCARD ALL", all_discarded},
      {"DISCARD PLANS", "discards_plans"},
      {"DISCARD SEQUENCES", "discards_sequences"},
      {"DISCARD TEMP", "temporary drops"},
      {"DISCARD TEMPORARY", "temporary drops"},
      {"LISTEN x", "listening keeps"},
      {"UNLISTEN *", "listening"},
      {"UNLISTEN x", "listening"},
      {"NOTIFY x, 'y'", ""},
      {"LOAD 'plpgsql'", "load keeps"},
      {"DO $$ BEGIN PERFORM 1; END $$", "unseen"},
      {"CALL p()", "unseen"},
      {"CREATE TEMP TABLE t (a int)", "temporary defines keeps"},
      {"CREATE TEMPORARY TABLE t (a int) ON COMMIT DROP", "temporary defines"},
      {"CREATE LOCAL TEMP TABLE t (a int)", "temporary defines keeps"},
      {"CREATE GLOBAL TEMPORARY TABLE t (a int)", "temporary defines keeps"},
      {"create/**/temp/**/table t()", "temporary defines keeps"},
      {"CREATE TABLE pg_temp.t (a int)", "temporary defines"},
      {"CREATE TABLE \"pg_temp\".t (a int)", "temporary defines"},
      {"CREATE TABLE pg_temp_3.t (a int)", "temporary defines"},
      {"CREATE TEMP VIEW v AS SELECT 1", "temporary defines keeps"},
      {"CREATE OR REPLACE TEMP RECURSIVE VIEW v (n) AS SELECT 1", "temporary defines keeps"},
      {"CREATE TEMP SEQUENCE s", "temporary defines keeps"},
      {"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "temporary defines"},
      {"CREATE TYPE pg_temp.e AS ENUM ('a')", "temporary defines"},
      {"CREATE DOMAIN pg_temp.d AS int", "temporary defines"},
      {"SELECT pg_temp.f()", "temporary"},
      {"SELECT 1::pg_temp.d", "temporary"},
      {"SELECT * INTO TEMP t FROM u", "temporary defines keeps"},
      {"SELECT * INTO TEMPORARY TABLE t FROM u", "temporary defines keeps"},
      {"SELECT 1INTO TEMP t", "unseen"},  // two tokens before PostgreSQL 15, an error since
      {"SELECT 1 x INTO/**/TEMP t", "temporary defines keeps"},
      {"SELECT 1 INTO pg_temp.t", "temporary defines"},
      {"SELECT 1 INTO t", "defines"},
      {"(SELECT 1 INTO t)", "defines"},
      {"SELECT 1 INTO t UNION SELECT 2", "defines"},
      {"SELECT insert INTO t FROM u", "defines"},
      {"SELECT (1) insert INTO TEMP t", "temporary defines keeps"},
      {"WITH x AS (SELECT 1) SELECT (1) insert INTO TEMP t", "temporary defines keeps"},
      {"EXPLAIN ANALYZE SELECT 1 INTO TEMP t", "temporary defines keeps"},
      {"WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT * FROM x", ""},
      {"INSERT INTO t SELECT 1 INTO TEMP u", ""},  // an error
      {"CREATE SCHEMA s CREATE TABLE t (a int)", "defines"},
      {"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "hold_cursor keeps"},
      {"DECLARE c BINARY INSENSITIVE SCROLL CURSOR WITH HOLD FOR SELECT 1", "hold_cursor keeps"},
      {"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", ""},
      {"CLOSE c", "hold_cursor"},
      {"CLOSE ALL", "hold_cursor"},
      {"FETCH ALL FROM c", ""},
      {"SELECT pg_advisory_lock(1)", "advisory_lock keeps"},
      {"SELECT PG_TRY_ADVISORY_LOCK(1, 2)", "advisory_lock keeps"},
      {"SELECT pg_advisory_lock_shared(1)", "advisory_lock keeps"},
      {"SELECT pg_advisory_unlock(1)", "advisory_lock"},
      {"SELECT pg_advisory_unlock_all()", "advisory_lock"},
      {"SELECT (1::bigint).pg_advisory_lock", "advisory_lock keeps"},
      {"SELECT f.pg_advisory_lock FROM unnest(ARRAY[1::bigint]) f", "advisory_lock keeps"},
      {"SELECT pg_advisory_xact_lock(1)", ""},
      {"SELECT pg_try_advisory_xact_lock_shared(1)", ""},
      {"SELECT setseed(0.5)", "random_seed keeps"},
      {"SELECT (0.5::float8).setseed", "random_seed keeps"},
      {"SELECT currval('s')", "reads_sequence"},
      {"SELECT lastval()", "reads_sequence"},
      {"SELECT nextval('s')", ""},
      {"SELECT query_to_xml('SELECT set_config(''a'', ''b'', false)', true, true, '')", "unseen"},
      {"SELECT set_limit(0.3)", "unseen"},
      {"SELECT dblink_connect('c', 'dbname=x')", "lingering keeps"},
      {"SELECT pg_create_physical_replication_slot('s', true, true)", "lingering keeps"},
      {"DROP TABLE t", "drops defines"},
      {"DROP TABLE pg_temp.t", "temporary drops defines"},
      {"DROP FUNCTION f()", "drops defines"},
      {"DROP OWNED BY bob", "drops defines"},
      {"TRUNCATE t", ""},
      {"ALTER TABLE t ADD x int", "defines"},
      {"CREATE INDEX ON t (a)", "defines"},
      {"COMMENT ON TABLE t IS 'x'", "defines"},
      {"GRANT SELECT ON t TO bob", "defines"},
      {"BEGIN ISOLATION LEVEL SERIALIZABLE", ""},
      {"COMMIT AND CHAIN", ""},
      {"PREPARE TRANSACTION 'x'", "ends_transaction"},
      {"BEGIN; LISTEN x; END", "listening keeps begins ends_transaction"},
      {"START TRANSACTION; LOAD 'x'; ABORT", "load keeps begins ends_transaction"},
      {"SAVEPOINT a; LISTEN x; ROLLBACK TO a; RELEASE a", "listening keeps"},
      {"EXPLAIN SELECT 1", ""},
      {"VACUUM t", ""},
      {"SHOW search_path", ""},
      {"START_REPLICATION SLOT x LOGICAL 0/0", "unseen"},
      {"nonsense", "unseen"},
      {"SET", "unseen"},
      {"SET x = 1; nonsense", "unseen"},
  });
}

TEST_CASE("a backslash is read in both ways") {
  check_all({
      {"SELECT '\\'; SET x.y = 1; --'", "1:<x.y>=<1> unseen ambiguous"},
      {"SELECT '\\''; SET x.y = 1; --'", "1:<x.y>=<1> unseen ambiguous"},
      {"SELECT '\\'';SET ROLE b;--'", "1:<role>=<b> unseen ambiguous session_identity"},
      {"SELECT '\\', set_config('a', 'b', false), '\\'", "0:<a>=<b> unseen plain_only"},
      {"SELECT '\\'', set_config('a', 'b', false) --'", "0:<a>=<b> unseen escaped_only"},
      {"SET x.y = 'a\\b'", "0:<x.y>=?"},
      {"SET x.y = 'a\\\\b', 'c'", "0:<x.y>=?,<c>"},
      {"SET x.y = E'a\\tb'", "0:<x.y>=<a\tb>"},
      {"SELECT '\\'; LISTEN a; SELECT '\\'; LOAD 'x'", "listening load keeps unseen plain_only"},
      // Both readings are sound, and do different things.
      {"SET a.b = '\\', c ; SET d.e = ' ' ; SET f.g = '\\'', h ; SET i.j = ' '", "unseen"},
      // SJIS: what looks like a backslash is the second half of a character, and the literal ends.
      {"SELECT E'\x81\\'; SET x.y = 1; SELECT E'\x81\\'", "unseen"},
  });
}

TEST_CASE("a text that is read in one way only says in which") {
  // Too deep in the other, which may be the server's.
  std::string deep = "SELECT 'a\\' , 1";
  for (int i = 0; i < 700; ++i) deep += "+1";
  CHECK(judge(deep + "; SET ROLE other --'").traits.has(trait::escaped_only));
  CHECK(judge("SELECT 'a\\'; SET x.y = 1").traits.has(trait::plain_only));
}

TEST_CASE("parameters that are mentioned more than once are told") {
  const auto repeated = [](std::string_view text) { return judge(text).repeated; };
  using list = std::vector<std::uint16_t>;
  CHECK(repeated("SELECT set_config($1, $2, false)") == list{});
  CHECK(repeated("SELECT $2::regclass, $3, set_config($2, $1, false), $1, $2") == list{1, 2});
  CHECK(repeated("SELECT '\\', $1, set_config($1, $2, false) --'") == list{1});
}

TEST_CASE("two readings that mention other parameters do the same to the session") {
  const auto read = read_statements("SELECT '\\', $1 --'");
  REQUIRE(read);
  CHECK(read->harmless());
}

TEST_CASE("where set_config is named otherwise than in a call, not all is read") {
  for (const std::string_view text : {
           "CREATE AGGREGATE setter(text, bool) (SFUNC = set_config, STYPE = text, INITCOND = 'role')",
           "CREATE OPERATOR ## (FUNCTION = pg_catalog.set_config, LEFTARG = text, RIGHTARG = text)",
       }) {
    CAPTURE(text);
    CHECK(judge(text).statements.empty());
    CHECK(judge(text).traits.has(trait::unseen));
  }
  CHECK_FALSE(judge("SELECT set_config FROM set_config('a.b', 'c', false)").statements.empty());
}

TEST_CASE("statements are told apart") {
  const auto spans_of = [](std::string_view text) {
    std::vector<std::string_view> out;
    for (const auto [begin, end] : judge(text).statements) out.push_back(text.substr(begin, end - begin));
    return out;
  };
  using list = std::vector<std::string_view>;
  CHECK(spans_of("RESET a") == list{"RESET a"});
  CHECK(spans_of("RESET a;") == list{"RESET a"});
  CHECK(spans_of(" RESET a ; -- c\n SET b = ';' ;;") == list{" RESET a ", " -- c\n SET b = ';' "});
  CHECK(spans_of("RESET a; \xc3\xa4; RESET c").empty());
  CHECK(spans_of("SELECT '\xc3\xa4'; RESET c") == list{"SELECT '\xc3\xa4'", " RESET c"});
}

TEST_CASE("ordinary statements are not read by the parser") {
  for (const std::string_view text : {
           "",
           ";",
           " ; ; ",
           "-- only a comment",
           "/* a /* nested */ comment */",
           "BEGIN",
           "begin;",
           "COMMIT",
           "ROLLBACK TO SAVEPOINT s1_x2",
           "START TRANSACTION READ ONLY",
           "BEGIN; SELECT 1; COMMIT;",
           "SELECT abalance FROM pgbench_accounts WHERE aid = 1;",
           "UPDATE pgbench_accounts SET abalance = abalance + -5 WHERE aid = 1",
           "INSERT INTO t (a, b) VALUES ($1, $2) RETURNING id",
           "INSERT INTO t VALUES ('hello; set the table into temp')",
           "INSERT INTO t VALUES ('don''t; SET x')",
           "UPDATE t SET body = E'it\\'s; SET x' WHERE id = 1",
           "INSERT INTO t VALUES ('C:\\temp\\set')",
           "INSERT INTO t (path) VALUES ('{\"a\": \"b\\n\"}')",
           "/* controller: 'users' */ SELECT * FROM u /* ; SET x */ -- ; SET y",
           "SELECT a.\"set\", a.\"b;SET c\" FROM a WHERE x->>'k' = 'v' AND y @> '{}'::jsonb",
           "WITH x AS (SELECT 1) SELECT * FROM x",
           "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x",
           "DELETE FROM t WHERE a IN (SELECT temp FROM u)",
           "SELECT pg_advisory_xact_lock(1)",
           "COPY t FROM STDIN",
           "SHOW TRANSACTION ISOLATION LEVEL",
           "SAVEPOINT a",
           "SELECT t.\xc3\xa4\xc3\xb6 FROM t",
       }) {
    CAPTURE(text);
    CHECK_FALSE(may_matter(text));
    CHECK(judge(text) == verdict{});
    const auto read = read_statements(text);
    CHECK((!read || finds_nothing(*read)));
  }
}

// The one property that all rests on, over pieces put together in ways that nobody would think of.
TEST_CASE("what the scan refuses, the parser finds harmless") {
  constexpr auto pieces = std::to_array<std::string_view>({"SELECT ",
                                                           "SET x = 1",
                                                           ";",
                                                           "'",
                                                           "\\'",
                                                           "''",
                                                           "\"",
                                                           "$$",
                                                           "$a$",
                                                           "/*",
                                                           "*/",
                                                           "--",
                                                           "\n",
                                                           "E'",
                                                           "e'\\",
                                                           "U&\"",
                                                           "U&'",
                                                           "1",
                                                           "a",
                                                           ", ",
                                                           "(",
                                                           ")",
                                                           "INTO t",
                                                           " INTO ",
                                                           "TEMP t",
                                                           "INSERT",
                                                           "insert ",
                                                           "WITH x AS ",
                                                           "VALUES (1)",
                                                           "LISTEN a",
                                                           "set_config",
                                                           "('a','b',true)",
                                                           "\\",
                                                           "\xc4\xb0",
                                                           "B'",
                                                           " ",
                                                           "BEGIN",
                                                           "x",
                                                           "pg_temp.f",
                                                           "DISCARD ALL",
                                                           "N'",
                                                           "$1",
                                                           "UPDATE t SET a = 1",
                                                           "\r",
                                                           "::text"});
  std::uint64_t state = 1;
  const auto next = [&](std::size_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>(state >> 33U) % below;
  };
  int refused = 0;
  int found = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string text = next(2) == 0 ? "SELECT " : "";
    for (auto left = 1 + next(9); left > 0; --left) text += pieces[next(pieces.size())];
    const auto read = read_statements(text);
    if (!read) continue;
    if (!read->harmless()) ++found;
    if (may_matter(text)) continue;
    ++refused;
    INFO(text << " -> " << show(*read));
    REQUIRE(finds_nothing(*read));
  }
  CHECK(refused > 500);
  CHECK(found > 500);
}

TEST_CASE("deep and long texts are not read, and are reported so") {
  const auto repeat = [](std::string_view piece, std::size_t times) {
    std::string out;
    while (times-- > 0) out += piece;
    return out;
  };
  const std::string hit = "SELECT set_config('a', 'b', false)";
  for (const auto& text : {
           hit + repeat("+1", 20000),
           hit + ", " + repeat("- ", 20000) + "1",
           hit + ", " + repeat("(", 20000) + "1" + repeat(")", 20000),
           hit + ", " + repeat("(SELECT ", 5000) + "1" + repeat(")", 5000),
           hit + repeat(" UNION SELECT 1, 2", 3000),
           hit + ", ARRAY" + repeat("[", 20000),
           hit + ", " + repeat("f(1, ", 8000) + "1" + repeat(")", 8000),
           hit + ", " + repeat("CASE WHEN a THEN ", 3000) + "1" + repeat(" END", 3000),
           hit + " FROM " + repeat("(a JOIN ", 5000) + "b" + repeat(" ON true)", 5000),
           hit + repeat(" ", 1 << 20),
           repeat("SET x = 1;", 1 << 17),
           std::string("SET x = 1\0; SET y = 2", 21),
       }) {
    CHECK(judge(text).traits == trait_set{trait::unseen});
    CHECK(judge(text).statements.empty());
  }
  // A long list is not deep, nor are many statements.
  CHECK(show(judge(hit + repeat(", 1 + a", 4000))) == "0:<a>=<b>");
  CHECK(judge(repeat("SET x = 1;", 4000)).settings.size() == 4000);
  CHECK_FALSE(may_matter("SELECT '" + repeat("; SET x", 1 << 17) + "'"));
  CHECK_FALSE(may_matter("SELECT 1 " + repeat("/* */ -- x\n", 1 << 17)));
  CHECK(may_matter(repeat(";/*", 1 << 18)));
}

TEST_CASE("which texts may ask for COPY data") {
  CHECK(may_ask_for_data("COPY t FROM STDIN"));
  CHECK(may_ask_for_data("copy t from stdout"));
  CHECK(may_ask_for_data("SELECT 1;\n/* \xff */cOpY t(a)FROM/**/StdIn(FREEZE)"));
  CHECK(may_ask_for_data("COPY t TO STDOUT"));  // it does not, which costs a wait
  CHECK_FALSE(may_ask_for_data(""));
  CHECK_FALSE(may_ask_for_data("SELECT 'stdin'"));
  CHECK_FALSE(may_ask_for_data("COPY t FROM PROGRAM 'std'"));
  CHECK_FALSE(may_ask_for_data("COPY t FROM '/tmp/x'"));
}

}  // namespace statement_test
