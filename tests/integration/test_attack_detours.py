"""Detours round the guard: what was once taken for something else than the server took it for, and what came of it.

The players are those of test_attacks.py: globex attacks, soylent is never reached, a pool of one server connection lies
between them. Every test here is of a hole that was open at some time. The attacks are told by the setting that holds the
tenant apart: `role` where each tenant has one, `search_path` under a login for all. Refused or restored, either will do; a
statement that runs in another dress will not.
"""

import pytest
from lodge import eventually
from test_attacks import (BOUND, DAEMON, DRESS, GUARDED, SYNC, Arena, answers, attack_routes, bind, by_simple,
                          execute, parse, pbe)
from wire import ServerError, columns, message, query

SETUP = """
SET lock_timeout = '15s';
CREATE TABLE IF NOT EXISTS public.detour_effects (what text);
GRANT ALL ON public.detour_effects TO PUBLIC;
CREATE SEQUENCE IF NOT EXISTS public.detour_tickets;
GRANT ALL ON SEQUENCE public.detour_tickets TO PUBLIC
"""
# What an attacker makes in its schema, where it gets that far.
CLEANUP = """
DROP TABLE IF EXISTS tenant_globex.role, tenant_globex.search_path;
DROP DOMAIN IF EXISTS tenant_globex.text;
DROP TEXT SEARCH CONFIGURATION IF EXISTS tenant_globex.detour;
DROP AGGREGATE IF EXISTS tenant_globex.detour_setter (pg_catalog.text, boolean)
"""

QUICK = {**DAEMON, "timeouts": {"server_idle": "200ms"}}
SETTING = {"role": "role", "shared": "search_path"}  # by strength
INSERT = "INSERT INTO public.detour_effects VALUES ('ran')"
DEEP = "+".join(["1"] * 700)  # deeper than the guard reads
SJIS_BACKSLASH = b"\x83\x5c"  # one character
SJIS_TWINS = b"\x81\xca", b"\xfa\x54"  # the same character

pytestmark = pytest.mark.slow  # sessions under several users at once: not under a sanitizer


@pytest.fixture(scope="module")
def arenas(start_lodge, postgres):
    """Under names of its own: test_attacks.py may prepare the same PostgreSQL before or after."""
    admin = postgres.connect("saas")
    admin.cursor().execute(SETUP)
    found = {}

    def of(strength):
        if strength not in found:
            found[strength] = Arena(start_lodge(attack_routes(postgres, strength), DAEMON), postgres, strength)
        admin.cursor().execute(CLEANUP)
        found[strength].idle.rows("SELECT 1")  # the connection is soylent's, and the attacker has to be dressed
        return found[strength]
    yield of
    for arena in found.values():
        arena.idle.close()
    admin.cursor().execute(CLEANUP)
    admin.cursor().execute("DROP TABLE public.detour_effects; DROP SEQUENCE public.detour_tickets")
    admin.close()


@pytest.fixture
def effects(arenas, postgres):
    """How many rows the test has written."""
    postgres.value("DELETE FROM public.detour_effects", database="saas")
    return lambda: postgres.value("SELECT count(*) FROM public.detour_effects", database="saas")


# --- how an attack goes ---

def parse_typed(sql, *types):
    return message(b"P", b"\0" + sql.encode() + b"\0" + len(types).to_bytes(2, "big") +
                   b"".join(each.to_bytes(4, "big") for each in types))


def go(wire, *steps):
    """Texts are sent as Query, other messages with a Sync behind. Gives all rows, and the SQLSTATEs of all errors."""
    rows, codes = [], []
    for step in steps:
        messages = query(step) if isinstance(step, str) else step
        wire.send(messages if messages[:1] == b"Q" else messages + SYNC)
        more, errors = answers(wire)
        rows += more
        codes += [error.sqlstate for error in errors]
    return rows, codes


def held(arena, wire, rows):
    """The attacker saw itself in its own dress whenever it looked, nothing of soylent's, and wears it still."""
    assert [row for row in rows if len(row) == 3 and row != arena.dress[0][:3]] == []
    assert "soylent" not in str(rows)
    assert arena.dress_of(wire) == arena.dress


def attack(arena, steps):
    with arena.attacker() as wire:
        rows, codes = go(wire, *steps)
        for back in "ROLLBACK", "SET client_encoding = 'UTF8'", "SET standard_conforming_strings = on":
            by_simple(wire, back)
        held(arena, wire, rows)
        assert codes[:1] == ["42501"]  # the guard's, before any other
    arena.nothing_is_left()


# --- resets ---

def null(setting):
    return f"set_config('{setting}', NULL, false)"


RESETS = {
    "fetch": lambda s: ["BEGIN", f"DECLARE c CURSOR FOR SELECT {null(s)}", "FETCH c", DRESS],
    "fetch in one text": lambda s: [f"BEGIN; DECLARE c CURSOR FOR SELECT {null(s)}; FETCH c; {DRESS}"],
    "move": lambda s: ["BEGIN", f"DECLARE c CURSOR FOR SELECT {null(s)}", "MOVE c", DRESS],
    "a held cursor": lambda s: ["BEGIN", f"DECLARE c CURSOR WITH HOLD FOR SELECT {null(s)}", "COMMIT", DRESS],
    "a cursor by Execute": lambda s: [f"BEGIN; DECLARE p CURSOR FOR SELECT {null(s)}", execute("p") + pbe(DRESS)],
    "a portal by FETCH": lambda s: ["BEGIN", parse(f"SELECT {null(s)}", "r") + bind(name="r", portal="p"), f"FETCH p; {DRESS}"],
    "EXECUTE": lambda s: [f"PREPARE x AS SELECT {null(s)}", f"EXECUTE x; {DRESS}"],
    "EXECUTE in a transaction": lambda s: ["BEGIN", f"PREPARE x AS SELECT {null(s)}", "EXECUTE x", DRESS],
    "EXECUTE of a Parse": lambda s: [parse(f"SELECT {null(s)}", "r"), f"EXECUTE r; {DRESS}"],
    "EXECUTE of a RESET": lambda s: [parse(f"RESET {s}", "r"), f"EXECUTE r; {DRESS}"],
    "Bind of a PREPARE": lambda s: [f"PREPARE x AS SELECT {null(s)}", bind(name="x") + execute() + pbe(DRESS)],
    "a view": lambda s: [f"CREATE TEMP VIEW v AS SELECT {null(s)} AS a", f"SELECT * FROM v; {DRESS}"],
    "a default": lambda s: [f"CREATE TEMP TABLE d (a text DEFAULT {null(s)}, b int)", f"INSERT INTO d (b) VALUES (1); {DRESS}"],
    "a rule": lambda s: ["CREATE TEMP TABLE r (b int)", f"CREATE RULE r AS ON INSERT TO r DO ALSO (SELECT {null(s)}; SELECT 1)",
                         f"INSERT INTO r (b) VALUES (1); {DRESS}"],
    "a bound name": lambda s: [parse("SELECT set_config($1, NULL, false)") + bind(s) + execute() + pbe(DRESS)],
}


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("detour", RESETS)
def test_a_reset_by_a_detour(arenas, strength, detour):
    """A reset that is not seen where it runs is not restored behind: what follows would have run as the shared login."""
    attack(arenas(strength), RESETS[detour](SETTING[strength]))


def test_a_reset_and_a_look_in_one_statement(arenas):
    """Between the two nothing can be restored: a function called behind would have read another tenant's table."""
    attack(arenas("role"), ["SELECT set_config('role', NULL, false), table_to_xml(c.oid, true, false, '') FROM pg_class c"
                            " JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'tenant_soylent' AND relname = 'whoami'"])


# --- portals ---

RESET_BOUND = {
    "a long name": lambda s: [parse(f"RESET {s}", "r") + bind(name="r", portal="a" * 63 + "x") + execute("a" * 63 + "y") + pbe(DRESS)],
    "a twin": lambda s: ["SET client_encoding = 'SJIS'", parse(f"RESET {s}", "r") +
                         message(b"B", SJIS_TWINS[0] + b"\0r" + bytes(7)) + message(b"E", SJIS_TWINS[1] + bytes(5)) + pbe(DRESS)],
    "a failed Bind": lambda s: ["BEGIN", parse(f"RESET {s}", "r") + bind(name="r", portal="p"), "SAVEPOINT s",
                                parse("SELECT 1", "o") + bind(name="o", portal="p"), "ROLLBACK TO s", execute("p") + pbe(DRESS)],
    "a skipped Close": lambda s: ["BEGIN", parse(f"RESET {s}", "r") + bind(name="r", portal="p"), "SAVEPOINT s",
                                  parse("SELEC", "o") + message(b"C", b"Pp\0"), "ROLLBACK TO s", execute("p") + pbe(DRESS)],
}


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("portal", RESET_BOUND)
def test_a_portal_out_of_step(arenas, strength, portal):
    """A portal the server knows and the lodge takes for another, or for gone: its RESET would not have been restored."""
    attack(arenas(strength), RESET_BOUND[portal](SETTING[strength]))


# --- names of prepared statements ---

GUESSED = {
    "Bind": lambda name: bind(name=name) + execute(),
    "Describe": lambda name: message(b"D", b"S" + name.encode() + b"\0"),
    "Close": lambda name: message(b"C", b"S" + name.encode() + b"\0"),
    "Parse": lambda name: parse("SELECT 'forged'", name),
    "EXECUTE": lambda name: f"EXECUTE {name}",
    "DEALLOCATE": lambda name: f"DEALLOCATE {name}",
    "PREPARE": lambda name: f"PREPARE {name} AS SELECT 'forged'",
}


@pytest.mark.parametrize("kind", GUESSED)
def test_a_guessed_name_of_a_colleagues_statement(arenas, kind):
    """The lodge's names of statements can be guessed: a colleague's would have been run, forged or taken away."""
    arena = arenas("role")
    with arena.attacker() as colleague, arena.attacker() as wire:
        assert go(colleague, pbe(f"SELECT 7 -- {kind}", name="n")) == ([("7",)], [])
        found = [go(wire, GUESSED[kind](f"pglodge_{number}")) for number in range(1, 200)]
        assert go(colleague, bind(name="n") + execute()) == ([("7",)], [])
        assert found == [([], ["42939"])] * len(found)
    arena.nothing_is_left()


GUESSED_SETTERS = {
    "a set_config by EXECUTE": lambda s, name: (BOUND, f"EXECUTE {name}('{s}', 'tenant_soylent')"),
    "a set_config by Bind": lambda s, name: (BOUND, bind(s, "tenant_soylent", name=name) + execute()),
    "a RESET by EXECUTE": lambda s, name: (f"RESET {s}", f"EXECUTE {name}"),
    "a RESET by Bind": lambda s, name: (f"RESET {s}", bind(name=name) + execute()),
}


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("kind", GUESSED_SETTERS)
def test_a_guessed_name_of_its_own_statement(arenas, strength, kind):
    """A statement allowed with some values, run by its real name with others: the dress would have come off."""
    arena = arenas(strength)
    with arena.attacker() as wire:
        guesses = [GUESSED_SETTERS[kind](SETTING[strength], f"pglodge_{number}") for number in range(1, 200)]
        rows, codes = go(wire, parse(guesses[0][0], "mine"), *(run for _, run in guesses), DRESS)
        held(arena, wire, rows)
        assert codes == ["42939"] * len(guesses)
    arena.nothing_is_left()


# --- names of settings ---

TEXT, BPCHAR, REGCLASS = 25, 1042, 2205


def misnamed(setting, way, value=b"tenant_soylent"):
    """What sets it, by a name that says something else until it is converted."""
    padded = setting.encode() + b"  "
    return {
        "declared bpchar": [parse_typed(BOUND, BPCHAR, TEXT) + bind(padded, value) + execute()],
        "cast to bpchar": [parse("SELECT length($1::bpchar), set_config($1, $2, false)") + bind(padded, value) + execute()],
        "regclass": [f"CREATE TABLE IF NOT EXISTS tenant_globex.{setting} (a int)",
                     parse_typed("SELECT set_config($1::text, $2, false)", REGCLASS, TEXT) +
                     bind(b"tenant_globex." + setting.encode(), value) + execute()],
        "a domain called text": ["CREATE DOMAIN tenant_globex.text AS pg_catalog.bpchar", "SET search_path = tenant_globex, pg_catalog",
                                 f"SELECT set_config('{setting}  '::text, '{value.decode()}', false)", "RESET search_path"],
    }[way]


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("way", ["declared bpchar", "cast to bpchar", "regclass", "a domain called text"])
def test_a_name_that_is_read_otherwise(arenas, strength, way):
    """set_config() by a name that is another to the guard than to the server: the session would have been soylent's."""
    attack(arenas(strength), [*misnamed(SETTING[strength], way), DRESS])


def test_the_tenants_own_setting_read_otherwise(arenas):
    """The same with a setting of the route's: policies by it would have shown another tenant's rows."""
    attack(arenas("shared"), [*misnamed("app.ident", "declared bpchar", b"soylent"), DRESS])


def test_the_tenants_variable_read_otherwise(start_lodge, postgres, arenas):
    """A variable that names the tenant, under a login that has named one: it would have been overwritten unseen."""
    table = attack_routes(postgres, "role")
    table["hints"] = [{"user": "{role}.{tenant}"}, {"variable": "app.tenant"}]
    with start_lodge(table, QUICK) as lodge, lodge.login("trusted.globex", "crm") as wire:
        assert go(wire, "SET app.tenant = 'soylent'") == ([], ["28000"])
        rows, codes = go(wire, *misnamed("app.tenant", "declared bpchar", b"soylent"), "SELECT current_setting('app.tenant', true)")
        assert codes == ["42501"] and "soylent" not in str(rows)


# --- two readings ---

UNREAD = {
    "too deep, and a literal": lambda s: [f"SELECT 'a\\' , {DEEP}; SET {s} = tenant_soylent --'", DRESS],
    "too deep, and no literal": lambda s: ["SET standard_conforming_strings = off",
                                           f"SELECT 'a\\'||' , {DEEP}; SET {s} = tenant_soylent --'", DRESS],
    "two-faced SJIS": lambda s: ["SET client_encoding = 'SJIS'", message(
        b"Q", b"SELECT E'" + SJIS_BACKSLASH + f"'; SET {s} = tenant_soylent --'\0".encode()), DRESS],
    "an aggregate": lambda s: [f"CREATE AGGREGATE detour_setter (text, boolean) (SFUNC = set_config, STYPE = text, INITCOND = '{s}')",
                               "SELECT detour_setter('tenant_soylent', false)", DRESS],
}


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("text", UNREAD)
def test_a_text_that_is_read_otherwise(arenas, strength, text):
    """Where the guard reads a harmless text, or none, and the server another: a SET in it would have been carried out."""
    attack(arenas(strength), UNREAD[text](SETTING[strength]))


def test_a_colleague_is_not_moved(arenas):
    """What an aggregate over set_config() does is not seen as a change: the next session of the tenant would have worn it."""
    arena = arenas("role")
    with arena.attacker() as colleague:
        assert arena.dress_of(colleague) == arena.dress
        with arena.attacker() as wire:
            go(wire, *UNREAD["an aggregate"]("role")[:2])
        rows, codes = go(colleague, DRESS, "SELECT name FROM tenant_soylent.whoami")
        assert (rows, codes) == ([arena.dress[0][:3]], ["42501"])
    arena.nothing_is_left()


def test_pins_are_not_had_by_a_text_too_deep(start_lodge, postgres, arenas):
    """Where connections are not kept for a session, LISTEN in the unread half would have stayed at one for all."""
    table = attack_routes(postgres, "role")
    table["databases"]["shared"]["pool"]["pin"] = "refuse"
    with start_lodge(table, QUICK) as lodge, lodge.login("trusted.globex", "crm") as wire:
        assert go(wire, f"SELECT 'a\\' , {DEEP}; LISTEN c; SELECT 1 --'") == ([], ["42501"])
        assert wire.rows("SELECT * FROM pg_listening_channels()") == []


# --- hidden statements of the lodge's own ---

@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("last", ["EXECUTE x", "DEALLOCATE x"])
def test_no_write_while_the_dress_fails(arenas, effects, strength, last):
    """A text that needs help while its connection is being dressed: it would have run although the dressing failed."""
    arena = arenas(strength)
    with arena.attacker() as friend:
        for _ in range(80):  # it is a race
            with arena.attacker() as wire:
                go(wire, parse("SELECT 1", "x"))
                friend.rows("CREATE TEXT SEARCH CONFIGURATION tenant_globex.detour (COPY = pg_catalog.simple)")
                wire.rows("SET default_text_search_config = 'tenant_globex.detour'")
                friend.rows("DROP TEXT SEARCH CONFIGURATION tenant_globex.detour")
                arena.idle.rows("SELECT 1")
                assert go(wire, f"{INSERT}; COMMIT; {last}") == ([], ["22023"])
    assert effects() == 0
    arena.nothing_is_left()


def test_a_timeout_of_a_hidden_statement_is_answered(arenas, postgres):
    """DISCARD SEQUENCES in front of lastval() runs under the client's statement_timeout: nothing more would have come."""
    arena = arenas("role")

    def set_log(**settings):
        for name, value in settings.items():
            postgres.value(f"ALTER SYSTEM SET {name} = {value}")
        postgres.value("SELECT pg_reload_conf()")
        eventually(lambda: postgres.value("SHOW log_min_messages") == settings["log_min_messages"], "the server has read it")

    with arena.attacker() as one, arena.attacker() as two:
        for wire in one, two:
            wire.rows("SET statement_timeout = '1ms'")
            wire.socket.settimeout(3)
        # Between its start and its first look at the clock every statement has a line of megabytes to write.
        set_log(log_statement='"all"', log_min_messages="log", log_line_prefix="'%4000000p'")
        try:
            for wire in (one, two) * 3:
                assert go(wire, "SELECT lastval()")[1] in (["57014"], ["55000"])
        finally:
            set_log(log_statement="DEFAULT", log_min_messages="warning", log_line_prefix="DEFAULT")
    arena.nothing_is_left()


@pytest.mark.parametrize("messages", [bind(name="n") + execute() + SYNC, message(b"D", b"Sn\0") + message(b"H")],
                         ids=["Bind, Execute, Sync", "Describe, Flush"])
def test_an_error_in_a_failed_transaction_is_told(arenas, messages):
    """A statement of another encoding is prepared anew, which fails here: the client would have had no answer at all."""
    arena = arenas("role")
    with arena.attacker() as wire:
        go(wire, "SET client_encoding = 'LATIN1'", message(b"P", b"n\0SELECT '\xe9'\0\0\0"), "SET client_encoding = 'UTF8'")
        arena.idle.rows("SELECT 1")
        assert go(wire, "BEGIN", "SELECT 1/0")[1] == ["22012"]
        wire.socket.settimeout(3)
        wire.send(messages)
        assert wire.until(b"E", b"Z")[-1][0] == b"E"
    arena.nothing_is_left()


PIPELINES = {  # what is in front of the Query, the Query, the answers to both and a Sync
    "a failure before it": (pbe("SELECT 1/0"), f"{INSERT}; COMMIT; DEALLOCATE x", b"1EZ"),
    "a failure before an EXECUTE": (pbe("SELECT 1/0"), f"EXECUTE x; {INSERT}", b"1EZ"),
    "a failure in it": (pbe(INSERT), "EXECUTE x; SELECT 1/0", b"12CEZZ"),
}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_no_extra_sync_in_a_pipeline(arenas, effects, pipeline):
    """A hidden Sync would have committed half a pipeline, run what is to be skipped, and answered once too often."""
    arena = arenas("role")
    before, text, expected = PIPELINES[pipeline]
    with arena.attacker() as wire:
        go(wire, parse("SELECT 1", "x"))
        wire.send(before + query(text) + SYNC + query("SELECT 'the end'"))
        seen = []
        while not seen or seen[-1][0] != b"D" or columns(seen[-1][1]) != ("the end",):
            seen += wire.until(b"D", b"E", b"Z")
        kinds = b"".join(kind for kind, _ in seen)
        assert kinds.replace(b"N", b"") == expected + b"TD"
        assert effects() == 0
    arena.nothing_is_left()


# --- what is remembered of a session ---

def test_a_setting_before_a_failed_one_is_not_forgotten(arenas):
    """Rolled back to a savepoint behind it: the setting would have stayed for a colleague, and been lost to its own session."""
    arena = arenas("role")
    with arena.attacker() as wire, arena.attacker() as colleague:
        go(wire, "BEGIN", "SET app.detour = '1'", "SAVEPOINT s", "SET data_directory = 'x'", "ROLLBACK TO s", "COMMIT")
        assert colleague.rows("SELECT NULLIF(current_setting('app.detour', true), '')") == [(None,)]
        assert wire.rows("SELECT current_setting('app.detour', true)") == [("1",)]
    arena.nothing_is_left()


def test_a_prepared_statement_is_executed_twice(arenas):
    """EXECUTE of what was prepared by the protocol, twice in a transaction: the second would have failed it."""
    arena = arenas("role")
    with arena.attacker() as wire:
        assert go(wire, parse("SELECT 1", "x"), "BEGIN", "EXECUTE x", "EXECUTE x", "COMMIT") == ([("1",), ("1",)], [])
    arena.nothing_is_left()


def test_lastval_by_the_extended_protocol(arenas):
    """Seen in a Query only: in a Parse it would have given what a colleague had drawn on the same connection."""
    arena = arenas("role")
    with arena.attacker() as wire, arena.attacker() as colleague:
        wire.rows("SELECT nextval('public.detour_tickets')")
        assert go(colleague, pbe("SELECT lastval()")) == ([], ["55000"])
    arena.nothing_is_left()


# --- names that outlive what they stood for ---

EVIL = "SELECT set_config($1, $2, false)"
VALUE = {"role": "none", "search_path": "tenant_soylent"}
CLOSE_R = message(b"C", b"Sr\0")
LONG = "r" * 63  # as much as a server looks at

# SQL that names r makes the lodge prepare it at the server under that name, to be judged nowhere any more.
LEFT_BEHIND = {
    "closed, and run": lambda s: [parse(EVIL, "r"), parse("DEALLOCATE r"), CLOSE_R, f"EXECUTE r('{s}', '{VALUE[s]}'); {DRESS}"],
    "closed, and explained": lambda s: [parse(EVIL, "r"), parse("DEALLOCATE r"), CLOSE_R,
                                        f"EXPLAIN ANALYZE EXECUTE r('{s}', '{VALUE[s]}'); {DRESS}"],
    "closed, and bound": lambda s: [parse(EVIL, "r"), parse("DEALLOCATE r"), CLOSE_R,
                                    bind(s, VALUE[s], name="r") + execute() + pbe(DRESS)],
    "a reset, closed": lambda s: [parse(f"RESET {s}", "r"), parse("DEALLOCATE r"), CLOSE_R, f"EXECUTE r; {DRESS}"],
    "by a longer name": lambda s: [parse(EVIL, LONG), parse(f"DEALLOCATE {LONG}"),
                                   bind(s, VALUE[s], name=LONG + "x") + execute() + pbe(DRESS)],
}


@pytest.mark.parametrize("strength", GUARDED)
@pytest.mark.parametrize("way", LEFT_BEHIND)
def test_no_statement_is_left_under_the_clients_name(arenas, strength, way):
    """What ran by it was judged by nobody, and stayed with the connection, colleagues included."""
    arena = arenas(strength)
    with arena.attacker() as wire, arena.attacker() as colleague:
        held(arena, wire, go(wire, "BEGIN", *LEFT_BEHIND[way](SETTING[strength]), "ROLLBACK")[0])
        assert arena.dress_of(colleague) == arena.dress
    arena.nothing_is_left()


@pytest.mark.parametrize("strength", GUARDED)
def test_what_execute_runs_is_judged_when_it_runs(arenas, strength):
    """When it was bound, the name stood for nothing, or for something harmless."""
    setting = SETTING[strength]
    for before in b"", parse("SELECT 1", "r") + message(b"C", b"Sr\0"):
        attack(arenas(strength), [before + parse(f"EXECUTE r('{setting}', '{VALUE[setting]}')") + bind() + parse(EVIL, "r") +
                                  execute() + pbe(DRESS)])


@pytest.mark.parametrize("strength", GUARDED)
def test_a_parameter_whose_type_another_mention_decides(arenas, strength, postgres):
    """A regclass loses its schema on the way to text: tenant_globex.role sets the role."""
    setting = SETTING[strength]
    arena = arenas(strength)
    admin = postgres.connect("saas")
    admin.cursor().execute(f"CREATE TABLE tenant_globex.{setting} (); GRANT ALL ON tenant_globex.{setting} TO PUBLIC")
    try:
        for sql in ("SELECT $1::regclass, set_config($1::pg_catalog.text, $2, false)",
                    "SELECT set_config($1::pg_catalog.text, $2, false) FROM pg_relation_size($1, 'main')"):
            attack(arena, [parse(sql) + bind(f"tenant_globex.{setting}", VALUE[setting]) + execute() + pbe(DRESS)])
    finally:
        admin.cursor().execute(f"DROP TABLE tenant_globex.{setting}")
        admin.close()


def test_a_query_that_an_error_skips_is_not_waited_for(arenas):
    """The session would have said nothing any more, and kept its connection."""
    arena = arenas("role")
    with arena.attacker() as wire:
        go(wire, "BEGIN")
        wire.send(parse("SELECT 1/0", "h") + bind(name="h") + execute() + query("SELECT 1") + SYNC)
        assert [error.sqlstate for error in answers(wire)[1]] == ["22012"]
        assert go(wire, "ROLLBACK", "SELECT 1") == ([("1",)], [])
    arena.nothing_is_left()


@pytest.mark.parametrize("strength", GUARDED)
def test_a_pinned_session_does_not_go_on_past_the_guard(arenas, strength):
    """What a function did is found out behind its transaction; a connection that cannot be cleaned must go."""
    arena = arenas(strength)
    setting = SETTING[strength]
    moves = f"DO $$ BEGIN PERFORM set_config('{setting}', '{VALUE[setting]}', false); END $$"
    with arena.attacker() as wire:
        go(wire, "LISTEN news")
        wire.send(query(moves))
        wire.until(b"Z")
        with pytest.raises(ServerError) as told:
            while True:
                wire.until(b"Z")
        assert told.value.severity == "FATAL" and told.value.sqlstate == "42501"
    arena.nothing_is_left()
    with arena.attacker() as wire:  # without a pin it is cleaned, and the session goes on as who it is
        assert go(wire, moves, DRESS)[0] == [arena.dress[0][:3]]
    arena.nothing_is_left()
