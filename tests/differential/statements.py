"""The repertoire of single statements, by class. What takes several statements in a row is in actions.py.

Each function is given the writer (generate.py), whose `rng`, `t(...)` (a name of the client's own) and memory it uses, and
gives a `Statement`. Only that is asked which two PostgreSQL sessions answer alike: no process ids, clocks, random numbers
or unordered rows; a placeholder setting is read only by a client that has set it.
"""

import struct
from dataclasses import dataclass

REPERTOIRE = {}              # class -> list of (weight, function)


@dataclass(frozen=True)
class Statement:
    sql: str
    cls: str
    params: tuple = ()       # of (type name, Python value)
    copy: tuple = ()
    pins: bool = False
    unpins: bool = False
    begins: bool = False
    ends: bool = False
    fails: bool = False
    simple: bool = False     # only as a Query: several statements at once

    def simple_sql(self):
        sql = self.sql
        for number in range(len(self.params), 0, -1):
            sql = sql.replace(f"${number}", literal(*self.params[number - 1]))
        return sql


def literal(kind, value):
    if value is None:
        return f"NULL::{kind}" if kind else "NULL"
    if kind == "text" or isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"({value})" + (f"::{kind}" if kind else "")


def encode(kind, value, binary):
    """A parameter as Bind carries it."""
    if value is None:
        return None
    if not binary or kind in ("text", ""):
        return ({True: "t", False: "f"}[value] if isinstance(value, bool) else str(value)).encode()
    return struct.pack({"int4": "!i", "int8": "!q", "float8": "!d", "bool": "!?"}[kind], value)


def one(cls, weight=1):
    def register(function):
        REPERTOIRE.setdefault(cls, []).append((weight, function))
        return function
    return register


def texts(cls, weight, *sqls, **more):
    """Statements of fixed text; {a}, {b}, {u}, {s}, {log} are the client's tables, {i} its number."""
    def make(w):
        return Statement(w.fill(w.rng.choice(sqls)), cls, **more)
    one(cls, weight)(make)


# Settings and their values, as SQL. Reported ones more often than others.

SETTINGS = {
    "DateStyle": ["'ISO, MDY'", "'ISO, DMY'", "'SQL, DMY'", "German", "'Postgres, MDY'", "ISO, YMD", "'nonsense'"],
    "TimeZone": ["'UTC'", "'Europe/Berlin'", "'America/New_York'", "'Asia/Kolkata'", "3", "'<+05>-05'", "'No/Where'"],
    "IntervalStyle": ["postgres", "postgres_verbose", "'sql_standard'", "iso_8601", "'x'"],
    "application_name": ["'a'", "'my app'", "'it''s'", "''", "'gr\u00fcn'", "'" + "long" * 20 + "'", r"'back\slash'", "E'tab\\t'"],
    "client_encoding": ["'UTF8'", "LATIN1", "'SQL_ASCII'", "'utf-8'", "WIN1252", "'nix'"],
    "standard_conforming_strings": ["on", "off", "'maybe'"],
    "bytea_output": ["hex", "escape"],
    "extra_float_digits": ["0", "1", "3", "-5", "99"],
    "statement_timeout": ["0", "'20s'", "'1min'", "61000", "'5 parsecs'"],
    "lock_timeout": ["0", "'20s'"],
    "idle_in_transaction_session_timeout": ["0", "'60s'"],
    "work_mem": ["'4MB'", "'8MB'", "12345", "'1GB'", "'1'"],
    "enable_seqscan": ["on", "off", "true", "0"],
    "default_transaction_isolation": ["'read committed'", "'repeatable read'", "'serializable'"],
    "default_transaction_read_only": ["off", "off", "on"],
    "client_min_messages": ["notice", "warning", "error"],
    "array_nulls": ["on", "off"],
    "transform_null_equals": ["on", "off"],
    "xmlbinary": ["base64", "hex"],
    "escape_string_warning": ["on", "off"],
    "quote_all_identifiers": ["on", "off"],
    "plan_cache_mode": ["auto", "force_generic_plan", "force_custom_plan"],
    "no_such_setting": ["1"],
    "server_version": ["'1'"],
}
REPORTED = ("DateStyle", "TimeZone", "IntervalStyle", "application_name", "client_encoding", "standard_conforming_strings",
            "default_transaction_read_only")


def setting(w):
    """A setting's name and one of its values as SQL."""
    roll = w.rng.random()
    if roll < 0.5:
        name = w.rng.choice(REPORTED)
    elif roll < 0.65:
        return "search_path", w.search_path()
    elif roll < 0.8:
        name = w.rng.choice(("app.x", "app.y", "App.Z"))
        return name, w.rng.choice(("'1'", "'two'", "''", "'it''s'", "3", r"'\'"))
    else:
        name = w.rng.choice(sorted(SETTINGS))
    if name == "client_encoding" and "encoding" in w.without:
        name = "DateStyle"
    value = w.rng.choice(SETTINGS[name])
    if w.rng.random() < 0.1:
        name = name.upper() if w.rng.random() < 0.5 else f'"{name}"'
    return name, value


def plain(value):
    """The value as set_config() takes it."""
    return value[1:-1].replace("''", "'") if value.startswith("'") else value


def remember(w, name):
    bare = name.strip('"').lower()
    if bare.startswith("app."):
        w.placeholders.add(bare)


@one("set", 6)
def set_session(w):
    name, value = setting(w)
    remember(w, name)
    return Statement(f"SET {w.rng.choice(('', '', 'SESSION '))}{name} {w.rng.choice(('TO', '='))} {value}", "set")


@one("set", 1)
def set_odd(w):
    name, value = setting(w)
    remember(w, name)
    return Statement(w.rng.choice((f"/* a; comment */ set\n\t{name} -- ; RESET ALL\n = {value}", f"SET {name} TO {value};",
                                   f"SeT sEsSiOn {name}={value} ;; ")), "set")


@one("set_local", 3)
def set_local(w):
    name, value = setting(w)
    remember(w, name)
    return Statement(f"SET LOCAL {name} = {value}", "set_local")


@one("set_config", 4)
def set_config(w):
    name, value = setting(w)
    remember(w, name)
    name, value, local = name.strip('"'), plain(value), w.rng.random() < 0.3
    shape = w.rng.randrange(4)
    if shape == 0:
        return Statement(f"SELECT set_config('{name}', {literal('text', value)}, {str(local).lower()})", "set_config")
    if shape == 1:
        return Statement("SELECT set_config($1, $2, $3)", "set_config", (("text", name), ("text", value), ("bool", local)))
    if shape == 2:
        return Statement(f"SELECT pg_catalog.set_config('{name}', $1, $2) AS it", "set_config", (("text", value), ("bool", local)))
    return Statement(f"SELECT set_config(name, value, $1) FROM (VALUES ('{name}', {literal('text', value)}), "
                     "('DateStyle', 'ISO, DMY')) AS v(name, value)", "set_config", (("bool", local),))


@one("reset", 4)
def reset(w):
    name = setting(w)[0]
    if name.lower().startswith("app.") and name.lower() not in w.placeholders:
        name = "TimeZone"
    return Statement(w.rng.choice((f"RESET {name}", f"SET {name} TO DEFAULT", f"SET SESSION {name} = DEFAULT", f"SET LOCAL {name} TO DEFAULT")),
                     "reset")


texts("reset", 2, "RESET ALL")
texts("discard", 3, "DISCARD ALL", unpins=True)
texts("discard", 1, "DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES", "DISCARD TEMPORARY")
texts("timezone", 1, "SET TIME ZONE 'Asia/Tokyo'", "SET TIME ZONE LOCAL", "SET TIME ZONE DEFAULT", "SET TIME ZONE -7",
      "SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE", "SET LOCAL TIME ZONE 'UTC'", "SET SESSION TIME ZONE 'PST8PDT'",
      "RESET TIME ZONE", "SHOW TIME ZONE")
texts("set_forms", 1, "SET NAMES 'UTF8'", "SET NAMES DEFAULT", "SET SCHEMA 'public'", "SET SEED TO 0.5", "SET search_path = public, pg_catalog",
      "SET search_path TO DEFAULT", "SET search_path FROM CURRENT", "SET DateStyle = iso, dmy", "SET XML OPTION DOCUMENT")
texts("set_characteristics", 1, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE, ISOLATION LEVEL SERIALIZABLE",
      "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", "SHOW transaction_isolation",
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
      "SHOW default_transaction_isolation")


@one("set_in_function", 3)
def set_in_function(w):
    name, value = setting(w)
    remember(w, name)
    name, value, local = name.strip('"'), plain(value), w.rng.choice(("true", "false", "false"))
    sql = w.rng.choice((
        f"SELECT set_it('{name}', {literal('text', value)}, {local})",
        f"DO $$ BEGIN PERFORM set_config('{name}', {literal('text', value)}, {local}); END $$",
        f"DO $x$ BEGIN EXECUTE 'SET {name} TO ' || quote_literal({literal('text', value)}); END $x$",
        f"DO $$ BEGIN SET LOCAL DateStyle TO 'SQL, DMY'; SET TimeZone TO 'Asia/Tokyo'; RAISE NOTICE '%', timestamptz '2024-01-01 00:00:00+00'; END $$",
        "SELECT clothed(), current_setting('DateStyle')"))
    return Statement(sql, "set_in_function", pins=True)


# Probes.

@one("show", 4)
def show(w):
    name = setting(w)[0].strip('"')
    if name.lower().startswith("app."):
        if not w.placeholders:
            name = "search_path"
        elif "placeholder_memory" in w.without:
            return Statement("SELECT coalesce(current_setting($1, true), '') AS v", "show", (("text", sorted(w.placeholders)[0]),))
        else:
            name = w.rng.choice(sorted(w.placeholders))
    shape = w.rng.randrange(3)
    if shape == 0:
        return Statement(f"SHOW {name}", "show")
    if shape == 1:
        return Statement("SELECT current_setting($1)", "show", (("text", name),))
    return Statement(f"SELECT current_setting('{name}', true) IS NOT DISTINCT FROM '' AS empty, current_setting('{name}', true)", "show")


texts("show", 5, "SELECT date '2024-12-31', timestamptz '2024-06-01 12:00:00+00', interval '1 day 02:03:04'",
      "SELECT current_schemas(false), current_schema(), current_user, session_user, current_database()",
      "SELECT name, setting FROM pg_settings WHERE name IN ('DateStyle', 'TimeZone', 'search_path', 'work_mem', "
      "'application_name', 'extra_float_digits') ORDER BY name COLLATE \"C\"",
      "SELECT name FROM whoami", "SELECT * FROM whoami", "SELECT 1.0/3.0::float8, float4 '0.1', '\\x00ff41'::bytea",
      "SHOW search_path", "SHOW DateStyle", "SELECT current_setting('role'), current_setting('is_superuser')",
      "SELECT length('\u00e9'), '\u00e9'", "SHOW transaction_isolation", "SHOW transaction_read_only")
texts("show", 0.3, "SHOW ALL")
texts("pg_settings", 1, "SELECT name, source FROM pg_settings WHERE name IN ('DateStyle', 'TimeZone', 'search_path', 'work_mem') ORDER BY 1",
      "SELECT name, reset_val FROM pg_settings WHERE name IN ('DateStyle', 'TimeZone', 'search_path', 'IntervalStyle') ORDER BY 1")

# Queries.

texts("select", 4, "SELECT 1", "SELECT 1 AS one, 'two' AS two, NULL AS three", "SELECT id, name FROM items ORDER BY id LIMIT 3",
      "SELECT count(*), sum(price), max(at), min(made) FROM items", "SELECT * FROM items WHERE id IN (1, 7) ORDER BY id",
      "SELECT * FROM {a} ORDER BY id", "SELECT * FROM {b} ORDER BY k, x", "SELECT g, repeat('x', g) FROM generate_series(1, 20) g",
      "SELECT took, at, data, f FROM items WHERE id < 4 ORDER BY id", "TABLE whoami", "VALUES (1, 'a'), (2, 'b')",
      "WITH x AS (SELECT generate_series(1, 3) AS n) SELECT n, n * n FROM x ORDER BY n", "SELECT WHERE false", "SELECT",
      "SELECT array_agg(id ORDER BY id) FROM items", "SELECT to_char(at, 'Day DD Mon') FROM items WHERE id = 3", "EXPLAIN (COSTS OFF) SELECT 1",
      "SELECT row(1, 'a'), ARRAY[1, NULL], '{\"a\": 1}'::jsonb", "SELECT 'x'::name, 1::int2, 2::oid, '1'::xid", "SELECT pg_sleep(0)",
      "SELECT n.* FROM {a} n JOIN items i USING (id) ORDER BY id")


@one("select", 3)
def select_with_parameters(w):
    r = w.rng
    return r.choice((
        lambda: Statement("SELECT $1::int4 + 1, $2::text", "select", (("int4", r.randrange(100)), ("text", r.choice(("a", "it's", None, "\u00fc"))))),
        lambda: Statement("SELECT name, price FROM items WHERE id = $1", "select", (("int4", r.randrange(25)),)),
        lambda: Statement("SELECT id, v, n FROM {a} WHERE id >= $1 ORDER BY id".replace("{a}", w.t("a")), "select", (("int4", r.randrange(6)),)),
        lambda: Statement("SELECT $1::float8, $2::bool, $3::int8", "select", (("float8", r.choice((0.1, 1e100, -2.5))), ("bool", r.random() < .5),
                                                                             ("int8", r.randrange(1 << 40)))),
        lambda: Statement("SELECT g FROM generate_series($1::int4, $2::int4) g", "select", (("int4", 1), ("int4", r.randrange(12)))),
        lambda: Statement("SELECT $1", "select", (("", r.choice(("text?", "1"))),)),
        lambda: Statement("SELECT at + $1::interval FROM items WHERE id = 1", "select", (("", "1 day"),)),
    ))()


texts("big_result", 1, "SELECT g, repeat('x', g % 50), g * 1.5 FROM generate_series(1, 3000) g", "SELECT repeat('big', 50000)",
      "SELECT i.*, g FROM items i, generate_series(1, 100) g ORDER BY i.id, g")


@one("long", 1)
def long_statement(w):
    size = w.rng.choice((9000, 70000, 150000))
    if w.rng.random() < 0.5:
        return Statement("SELECT length($1), md5($1)", "long", (("text", "y" * size),))
    return Statement(f"SELECT /* {'pad ' * (size // 4)} */ 1 AS after_much", "long")


@one("dml", 6)
def dml(w):
    r, a, b, u = w.rng, w.t("a"), w.t("b"), w.t("u")
    n = r.randrange(1, 40)
    return r.choice((
        lambda: Statement(f"INSERT INTO {a} VALUES ({n + 5}, 'new', {n})", "dml"),
        lambda: Statement(f"INSERT INTO {a} (id, v) VALUES ($1, $2) RETURNING *", "dml", (("int4", n + 5), ("text", f"p{n}"))),
        lambda: Statement(f"UPDATE {a} SET n = n + 1, v = $1 WHERE id = $2", "dml", (("text", f"u{n}"), ("int4", n % 6))),
        lambda: Statement(f"UPDATE {a} SET n = n + {n} WHERE id = {n % 6} RETURNING id, n", "dml"),
        lambda: Statement(f"UPDATE {a} SET v = v || '+'", "dml"),
        lambda: Statement(f"DELETE FROM {a} WHERE id = $1", "dml", (("int4", n % 12),)),
        lambda: Statement(f"INSERT INTO {b} SELECT 'g' || g, g, date '2024-01-01' + g FROM generate_series(1, {n}) g", "dml"),
        lambda: Statement(f"INSERT INTO {a} VALUES ({n % 8}, 'x') ON CONFLICT (id) DO UPDATE SET n = {a}.n + 1", "dml"),
        lambda: Statement(f"DELETE FROM {b}", "dml"),
        lambda: Statement(f"MERGE INTO {a} t USING (VALUES (3), (77)) s(id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 'm' "
                          "WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, 'merged')", "dml"),
        lambda: Statement(f"INSERT INTO {u} VALUES ({n % 3}, 'deferred')", "dml"),
        lambda: Statement(f"SELECT * FROM {a} WHERE id = {n % 6} FOR UPDATE", "dml"),
        lambda: Statement(f"TRUNCATE {b}", "dml"),
        lambda: Statement(f"CREATE TABLE {w.t('x')}_as AS SELECT 1 AS one", "dml"),
        lambda: Statement(f"DROP TABLE IF EXISTS {w.t('x')}_as", "dml"),
    ))()


texts("error", 3, "SELECT 1/0", "SELECT * FROM no_such_table", "SELEKT 1", "SELECT no_such_column FROM items", "SELECT 'abc'::int",
      "INSERT INTO {a} VALUES (1, 'duplicate')", "INSERT INTO {a} VALUES (60, 'x', 5000)", "UPDATE {a} SET n = NULL WHERE id = 1", "SELECT no_such_function(1)",
      "SELECT 1 FROM items WHERE", "SELECT 'unterminated", "CREATE TABLE items (x int)", "DROP TABLE no_such_table", "SELECT 1; SELECT 1/0; SELECT 2",
      "SELECT sum(id) FROM items GROUP BY 1", "SET TRANSACTION ISOLATION LEVEL NONSENSE", "SAVEPOINT outside", "SELECT '\\x0'::bytea",
      "SELECT (SELECT id FROM items)", "VACUUM no_such_table", "SELECT 10 / (id - 3) FROM items ORDER BY id", fails=True)
texts("empty", 1, "", ";", " ", "-- nothing", "/* nothing */ ;;")
texts("notice", 1, "SELECT noisy('n')", "DO $$ BEGIN RAISE NOTICE 'n %', 1; RAISE WARNING 'w' USING ERRCODE = '01234'; END $$",
      "DROP TABLE IF EXISTS no_such_table", "DO $$ BEGIN RAISE EXCEPTION 'e' USING DETAIL = 'd', HINT = 'h', TABLE = 't', COLUMN = 'c'; END $$",
      "DO $$ BEGIN RAISE INFO 'i'; RAISE LOG 'l'; RAISE DEBUG 'd'; END $$", "COMMIT; BEGIN; BEGIN; COMMIT", "SELECT '\\' AS warned")
texts("sequence", 1, "SELECT nextval('{s}')", "SELECT currval('{s}')", "SELECT lastval()", "SELECT setval('{s}', 42)", "SELECT nextval('{s}'), currval('{s}'), lastval()",
      pins=True)
texts("advisory", 1, "SELECT pg_advisory_lock(77, {i})", "SELECT pg_try_advisory_lock(77, {i})", "SELECT pg_advisory_unlock(77, {i})",
      "SELECT pg_advisory_unlock_all()", "SELECT pg_try_advisory_lock_shared(77, {i})",
      "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", pins=True)
texts("advisory", 0.5, "SELECT pg_advisory_xact_lock(77, {i})", "SELECT pg_try_advisory_xact_lock(78, {i})")
texts("listen", 1, "LISTEN c{i}_channel", "LISTEN \"C{i} other\"", "UNLISTEN c{i}_channel", "UNLISTEN *", "SELECT pg_listening_channels() ORDER BY 1", pins=True)
texts("listen", 1, "NOTIFY c{i}_channel, 'payload'", "NOTIFY c{i}_channel", "SELECT pg_notify('c{i}_channel', 'by function')", "NOTIFY \"C{i} other\", 'x'")
texts("load", 1, "LOAD 'auto_explain'", "LOAD '$libdir/plpgsql'", "LOAD 'no_such_library'", pins=True)
texts("role", 1, "SET ROLE tenant_globex", "SET ROLE tenant_soylent", "SET SESSION ROLE tenant_initech", "SET ROLE NONE", "RESET ROLE", "SET ROLE TO DEFAULT",
      "SET LOCAL ROLE tenant_acme", "SET ROLE intruder", "SELECT set_config('role', 'tenant_acme', false)", "SET SESSION AUTHORIZATION DEFAULT",
      "SET SESSION AUTHORIZATION trusted", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION intruder",
      "SELECT current_user, session_user, current_setting('role')", "SHOW role", "SHOW session_authorization")
texts("encoding", 1, "SET client_encoding TO LATIN1", "SET client_encoding = 'UTF8'", "SET NAMES 'SJIS'", "RESET client_encoding", "SELECT name FROM items WHERE id = 1",
      "SELECT convert_from('\\xc3bc', 'UTF8')", "SELECT '\u20ac'", "SELECT chr(8364)", "SET NAMES LATIN1; SELECT chr(252); RESET client_encoding")
texts("quoting", 1, r"SELECT 'a\' AS s", r"SELECT 'it\'; SET DateStyle TO German; --'", r"SELECT E'it\'s; SET TimeZone TO 3; '", "SELECT $$; RESET ALL; $$, $a$ $$ $a$",
      "SELECT U&'d\\0061t\\+000061'", "SET standard_conforming_strings = off", "SET standard_conforming_strings = on", "SET \"DateStyle\" TO 'SQL, DMY'",
      "SELECT 'x' -- '; SET DateStyle TO German\n 'y'", "SELECT /* /* nested; */ SET TimeZone TO 1; */ 1", "SELECT 1 AS \"SET x TO 1; \"",
      "SET application_name TO E'\\x41\\'b'", "SET application_name TO $$dollar$$", "SET U&\"\\0044ateStyle\" TO SQL", "SELECT 'SET DateStyle TO German'")
texts("ddl", 1, "CREATE TABLE {x}_t (id int, v text DEFAULT 'd')", "ALTER TABLE {x}_t ADD COLUMN IF NOT EXISTS more int", "DROP TABLE IF EXISTS {x}_t",
      "CREATE OR REPLACE VIEW {x}_v AS SELECT id FROM {a}", "SELECT * FROM {x}_v ORDER BY 1", "CREATE TYPE {x}_e AS ENUM ('red', 'green')",
      "SELECT 'red'::{x}_e", "DROP TYPE IF EXISTS {x}_e", "CREATE OR REPLACE FUNCTION {x}_f(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1'", "SELECT {x}_f(1)",
      "COMMENT ON TABLE {a} IS 'c'", "INSERT INTO {x}_t (id) VALUES (1) RETURNING *", "CREATE TABLE {x}_t (id int)", "DROP VIEW IF EXISTS {x}_v")
texts("call", 1, "CALL commits('{log}', 1)", "SELECT count(*) FROM {log}", "DO $$ BEGIN INSERT INTO {log} VALUES (9); COMMIT; RAISE EXCEPTION 'after commit'; END $$")
texts("temp_table", 2, "CREATE TEMP TABLE {x}_temp (id int, v text)", "CREATE TEMPORARY TABLE {x}_temp (id int) ON COMMIT DROP",
      "CREATE TEMP TABLE {x}_temp (id int, v text) ON COMMIT DELETE ROWS", "SELECT 1 AS id INTO TEMP {x}_temp", "CREATE TEMP TABLE {x}_temp AS SELECT id, v FROM {a}",
      "CREATE TABLE pg_temp.{x}_temp (id int)", "CREATE TEMP VIEW {x}_tempview AS SELECT 1 AS one", "CREATE TEMP SEQUENCE {x}_tempseq",
      "CREATE FUNCTION pg_temp.{x}_f() RETURNS int LANGUAGE sql AS 'SELECT 5'", pins=True)
texts("temp_table", 3, "INSERT INTO {x}_temp (id) VALUES (1), (2)", "SELECT * FROM {x}_temp ORDER BY id", "DROP TABLE {x}_temp", "DROP TABLE IF EXISTS {x}_temp",
      "SELECT pg_temp.{x}_f()", "SELECT nextval('{x}_tempseq')", "SELECT one FROM {x}_tempview", "DISCARD TEMP", "DROP VIEW IF EXISTS {x}_tempview",
      "SELECT * FROM pg_temp.{x}_temp ORDER BY id")
texts("large_object", 1, "SELECT lo_create(91000{i})", "SELECT lo_from_bytea(91000{i}, '\\x0102')", "SELECT lo_get(91000{i})", "SELECT lo_put(91000{i}, 1, '\\xff')",
      "SELECT lo_unlink(91000{i})", "BEGIN; SELECT lo_open(91000{i}, 131072); SELECT loread(0, 10); COMMIT", "SELECT lo_open(91000{i}, 262144)", simple=True)
texts("sql_prepare", 4, "PREPARE {p} AS SELECT 1 AS prepared", "PREPARE {p} (int) AS SELECT id, v FROM {a} WHERE id = $1", "PREPARE {p} AS SELECT current_setting('DateStyle'), date '2024-12-31'",
      "PREPARE {p} AS SELECT name FROM whoami", "PREPARE {p} AS SELEKT", pins=True)
texts("sql_prepare", 5, "EXECUTE {p}", "EXECUTE {p}(2)", "EXECUTE {p}('x')", "CREATE TABLE {x}_pa AS EXECUTE {p}", pins=True)
texts("sql_prepare", 1, "SELECT count(*) FROM pg_prepared_statements WHERE from_sql", pins=True)


@one("deallocate", 1)
def deallocate(w):
    name = w.rng.choice((w.fill("{p}"), f'"{w.rng.choice(sorted(w.named) or ["none"])}"', "ALL", "ALL", "no_such"))
    return Statement(f"DEALLOCATE {w.rng.choice(('', 'PREPARE '))}{name}", "deallocate")


@one("multi", 4)
def multi(w):
    """Several statements in one Query: one implicit transaction, unless they say otherwise."""
    kinds = ("select", "show", "set", "dml", "set_config", "reset", "error", "set_local", "transaction", "notice", "timezone", "copy_out", "savepoint")
    parts = [w.pick(kinds, skip=("multi",)) for _ in range(w.rng.randrange(2, 6))]
    parts = [part for part in parts if part and not part.copy]
    return Statement(w.rng.choice(("; ", ";", " ;\n")).join(part.simple_sql() for part in parts) + w.rng.choice(("", ";")), "multi",
                     pins=any(part.pins for part in parts), simple=True)


texts("transaction", 3, "BEGIN", "START TRANSACTION", "BEGIN WORK", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY", "BEGIN READ WRITE",
      begins=True)
texts("transaction", 3, "COMMIT", "END", "ROLLBACK", "ABORT", "COMMIT WORK", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", ends=True)
texts("transaction", 0.4, "SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL DEFERRED",
      "PREPARE TRANSACTION 'c{i}'", "COMMIT PREPARED 'none'", "LOCK TABLE {a}")
texts("savepoint", 1, "SAVEPOINT s1", "SAVEPOINT s2", "RELEASE s1", "RELEASE SAVEPOINT s2", "ROLLBACK TO s1", "ROLLBACK TO SAVEPOINT s2", "SAVEPOINT s1")
texts("cursor", 1, "DECLARE cur CURSOR FOR SELECT id, v FROM {a} ORDER BY id", "DECLARE cur SCROLL CURSOR FOR SELECT * FROM items ORDER BY id",
      "DECLARE bin BINARY CURSOR FOR SELECT id FROM items ORDER BY id", "FETCH 2 FROM cur", "FETCH cur", "FETCH ALL FROM cur", "MOVE 1 IN cur", "FETCH BACKWARD 1 FROM cur",
      "CLOSE cur", "CLOSE ALL", "FETCH FORWARD 3 FROM bin", "UPDATE {a} SET v = 'current' WHERE CURRENT OF cur", "SELECT name, is_holdable FROM pg_cursors ORDER BY name",
      "DECLARE cur CURSOR FOR SELECT $1")
texts("hold_cursor", 2, "DECLARE held CURSOR WITH HOLD FOR SELECT id, v FROM {a} ORDER BY id", "DECLARE held SCROLL CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY id", pins=True)
texts("hold_cursor", 5, "FETCH 2 FROM held", "MOVE 1 FROM held", "CLOSE held", "FETCH held", "CLOSE ALL", "SELECT count(*) FROM pg_cursors", pins=True)
texts("copy_out", 1, "COPY items TO STDOUT", "COPY (SELECT id, name, data FROM items ORDER BY id) TO STDOUT (FORMAT csv, HEADER)", "COPY (SELECT 1, 'a') TO STDOUT (FORMAT binary)",
      "COPY (SELECT id, v FROM {a} ORDER BY id) TO STDOUT WITH DELIMITER '|'", "COPY (SELECT g FROM generate_series(1, 2000) g) TO STDOUT", "COPY (SELECT 1/(3-g) FROM generate_series(1, 5) g) TO STDOUT",
      "COPY no_such_table TO STDOUT", "COPY (SELECT at, made FROM items ORDER BY id) TO STDOUT")


@one("copy_in", 3)
def copy_in(w):
    """Good data, bad data, none, data in odd pieces, and CopyFail."""
    r, b = w.rng, w.t("b")
    rows = [f"k{n}\t{n / 4}\t2024-0{n % 9 + 1}-01\n" for n in range(r.choice((0, 1, 3, 500)))]
    kind = r.choice(("good", "good", "good", "bad", "fail", "format", "columns", "csv"))
    sql = f"COPY {b} FROM STDIN"
    if kind == "bad":
        rows.insert(len(rows) // 2, "k\tnonsense\t\\N\n")
    if kind == "columns":
        rows.append("only one\n")
    if kind == "format":
        sql += " (FORMAT nonsense)"
    if kind == "csv":
        sql, rows = f"COPY {b} (k) FROM STDIN (FORMAT csv)", ['"a,b"\n', "x\n"]
    data = "".join(rows).encode()
    cuts = sorted(r.randrange(len(data) + 1) for _ in range(r.randrange(4)))
    pieces = [data[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(data)])]
    end = ("f", "the client says no") if kind == "fail" else ("c",)
    if kind not in ("fail",) and r.random() < 0.1:
        pieces.append(b"\\.\n")
    return Statement(sql, "copy_fail" if kind == "fail" else "copy_in", copy=(*(("d", piece) for piece in pieces if piece), end))
