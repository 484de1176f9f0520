"""Hints that a session gives while it runs: a setting that it sets, a schema that it puts into its search_path."""

import pytest
from lodge import eventually, standard_routes
from test_attacks import SYNC, answers, bind, execute, parse, pbe
from test_pooling import waiting_for_a_snapshot
from wire import ServerError, message, query

TRUST = {"auth": {"method": "trust"}, "log": {"level": "info"}}
LATER = [{"variable": "app.tenant"}, {"search_path": "tenant_{tenant}"}]


def routes(postgres, action="wait", size=1):
    table = standard_routes(postgres.host)
    table["hints"] = [{"user": "{role}.{tenant}"}, {"database": "{dbname}@{tenant}"}, *LATER]
    table["databases"]["shared"]["pool"] = {"size": size}
    table["tenants"] |= {"initech": {"users": ["somebody"]}, "hooli": {"state": "suspended", "message": "call billing"},
                         "gone": {"database": "dedicated"}, "solo": {"schema": "tenant_soylent", "pool": "session"}}
    table["no_tenant"] = {"action": action}
    if action == "route":
        table["no_tenant"]["route"] = {"database": "shared", "search_path": ["public"]}
    return table


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    return start_lodge(routes(postgres), TRUST)


@pytest.fixture
def session(lodge):
    with lodge.login("trusted", "crm") as wire:
        yield wire


def error_of(wire, sql):
    with pytest.raises(ServerError) as caught:
        wire.rows(sql)
    return caught.value


def who(wire):
    return wire.value("SELECT name FROM whoami")


def where(wire):
    return wire.value("SELECT current_database()")


@pytest.mark.parametrize("options", ["-c app.tenant=globex", "-c search_path=tenant_globex,public"])
def test_what_a_session_begins_with_names_its_tenant(lodge, options):
    with lodge.login("trusted", "crm", options=options) as wire:
        assert who(wire) == "globex"
        wire.rows("SET app.tenant = 'soylent'")
        assert who(wire) == "soylent"
        wire.rows("RESET app.tenant")
        assert who(wire) == "globex"


@pytest.mark.parametrize("user, options, code", [
    ("trusted", "-c app.tenant=initech", "28000"),               # only somebody may enter
    ("trusted", "-c app.tenant=hooli", "57P03"),
    ("trusted", "-c app.tenant=nosuch", "3D000"),
    ("trusted", "-c app.tenant=globex -c search_path=tenant_soylent", "28000"),
    ("trusted.globex", "-c app.tenant=soylent", "28000"),        # the login fixes it
    ("trusted.globex", "-c search_path=tenant_soylent", "28000"),
])
def test_what_a_session_begins_with_is_judged_as_if_it_had_been_said(lodge, user, options, code):
    with pytest.raises(ServerError) as caught:
        lodge.login(user, "crm", options=options)
    assert (caught.value.sqlstate, caught.value.severity) == (code, "FATAL")


def test_what_a_session_began_with_is_judged_again_where_it_comes_to(start_lodge, postgres):
    table = routes(postgres, "route")
    table["no_tenant"]["route"]["guard"] = False
    with start_lodge(table, TRUST) as lodge:
        with lodge.login("trusted", "crm", options="-c role=tenant_globex") as wire:
            assert wire.value("SELECT current_user") == "tenant_globex"
            assert error_of(wire, "SET app.tenant = 'soylent'").sqlstate == "42501"
            assert wire.value("SELECT current_user") == "tenant_globex"
            table["no_tenant"]["route"]["guard"] = True
            lodge.reload(table)
            error = error_of(wire, "SELECT current_user")
            assert (error.sqlstate, error.severity) == ("42501", "FATAL")
        with lodge.login("trusted", "crm") as wire:
            wire.rows("SET app.tenant = 'soylent'")
            assert who(wire) == "soylent"


def test_a_session_is_let_in_without_a_tenant_and_told_to_name_one(session):
    assert session.parameters["server_version"].startswith("15")
    for sql in ("SELECT 1", "BEGIN", "SHOW app.tenant", "SELECT name FROM tenant_globex.whoami", "", "TABLE pg_class",
                "RESET ALL; SELECT 1", "SELECT set_config('work_mem', '1MB', false)"):
        error = error_of(session, sql)
        assert (error.sqlstate, error.severity) == ("28000", "ERROR"), sql
    assert "named its tenant" in error.message
    for messages in (pbe("SELECT 1") + SYNC, parse("SELECT 1") + SYNC, message(b"F", b"\0\0\0\1\0\0\0\0\0\0"),):
        session.send(messages)
        assert [error.sqlstate for error in answers(session)[1]] == ["28000"]
    session.rows("SET app.tenant = 'globex'")
    assert who(session) == "globex"


def test_what_a_driver_sets_on_its_way_in_goes_along(session):
    session.rows("SET work_mem = '3MB'; SET application_name = 'early'")
    session.rows("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    assert error_of(session, "SET ROLE postgres").sqlstate == "42501"
    session.rows("SET app.tenant = 'globex'")
    assert session.value("SHOW work_mem") == "3MB"
    assert session.value("SHOW application_name") == "early"
    assert session.value("SHOW transaction_isolation") == "serializable"


@pytest.mark.parametrize("naming", [
    "SET app.tenant = '{}'", "SET SESSION app.tenant TO {}", "SET \"APP\".tenant = '{}'",
    "SELECT set_config('app.tenant', '{}', false)", "SELECT pg_catalog.set_config('app.tenant', '{}', false)",
    "SET search_path TO tenant_{}, public", "SET search_path = 'tenant_{}', public", "SET search_path TO public, \"tenant_{}\"",
    "SELECT set_config('search_path', 'public, tenant_{}', false)",
])
def test_ways_to_name_it(session, naming):
    for tenant, name, database in (("globex", "globex", "saas"), ("acme", "acme", "acme"),
                                   ("soylent", "soylent", "saas"), ("umbrella", "crm_umbrella", "crm_umbrella"),
                                   ("globex", "globex", "saas")):
        session.rows(naming.format(tenant))
        assert (who(session), where(session)) == (name, database)


def test_by_the_extended_protocol(session):
    session.send(pbe("SELECT set_config('app.tenant', $1, false)", "acme") + SYNC)
    assert answers(session) == ([("acme",)], [])
    assert who(session) == "acme"
    # Prepared while it was acme's, and earlier than its tenant is known.
    session.send(parse("SELECT set_config($1, $2, false)", "name it") + SYNC)
    assert answers(session) == ([], [])
    session.send(bind("app.tenant", "globex", name="name it") + execute() + SYNC)
    assert answers(session) == ([("globex",)], [])
    assert who(session) == "globex"
    session.send(message(b"D", b"Sname it\0") + bind("app.tenant", "acme", name="name it") + execute() + SYNC)
    assert [error.sqlstate for error in answers(session)[1]] == ["25001"]
    assert who(session) == "globex"
    session.rows("RESET app.tenant")
    session.send(pbe("SET search_path TO tenant_soylent, public") + SYNC)
    assert answers(session) == ([], [])
    assert where(session) == "saas"


def test_not_in_a_transaction(session):
    session.rows("SET app.tenant = 'globex'")
    session.rows("BEGIN")
    for sql in ("SET app.tenant = 'acme'", "SET LOCAL app.tenant = 'acme'"):
        assert error_of(session, sql).sqlstate == "25001"
        assert error_of(session, "SELECT 1").sqlstate == "25P02"
        session.rows("ROLLBACK; BEGIN")
    session.rows("SET app.tenant = 'globex'")  # its own it may
    session.rows("COMMIT")
    for sql in ("SELECT 1; SET app.tenant = 'acme'", "BEGIN; SET app.tenant = 'acme'; COMMIT",
                "SET app.tenant = 'acme'; BEGIN", "RESET ALL; SET app.tenant = 'acme'",
                "SET app.tenant = 'acme'; SELECT 1", "SET LOCAL app.tenant = 'acme'",
                "SET LOCAL app.tenant = 'acme'; SELECT name FROM whoami",
                "SET app.tenant = 'acme'; SELECT name FROM whoami; SET app.tenant = 'globex'"):
        assert error_of(session, sql).sqlstate == "25001", sql
    assert (who(session), where(session)) == ("globex", "saas")
    session.send(pbe("SELECT 1") + pbe("SET app.tenant = 'acme'") + SYNC)
    assert [error.sqlstate for error in answers(session)[1]] == ["25001"]
    session.send(query("BEGIN") + query("SET app.tenant = 'acme'") + query("ROLLBACK"))
    assert [error.sqlstate for error in answers(session, 3)[1]] == ["25001"]
    for after in ("BEGIN", "COMMIT", "SELECT 1/0", "SELECT name FROM whoami"):
        session.send(pbe("SET app.tenant = 'acme'") + pbe(after) + SYNC)
        assert [error.sqlstate for error in answers(session)[1]] == ["25001"]
        assert (who(session), where(session)) == ("globex", "saas")
    session.send(query("SELECT 1") + query("SET app.tenant = 'acme'") + query("SELECT name FROM whoami"))
    assert answers(session, 3) == ([("1",), ("acme",)], [])


def test_what_fails_has_not_named_anybody(session):
    for before in ("nobody", "globex"):
        for failing in ("SELECT set_config('app.tenant', 'acme', false), 1/0",
                        "SELECT set_config('app.tenant', 'acme', false), nonsense"):
            error_of(session, failing)
            session.send(pbe(failing) + SYNC)
            assert len(answers(session)[1]) == 1
        # Nor has what was not run.
        session.send(parse("SET app.tenant = 'acme'") + bind() + SYNC)
        assert answers(session) == ([], [])
        session.rows("SELECT set_config('app.tenant', 'acme', false) WHERE false")
        session.rows("EXPLAIN SELECT set_config('app.tenant', 'acme', false)")
        if before == "nobody":
            assert error_of(session, "SELECT 1").sqlstate == "28000"
            session.rows("SET app.tenant = 'globex'")
        assert who(session) == "globex"
    for tenant, sqlstate in (("nobody", "3D000"), ("no id!", "3D000"), ("initech", "28000"), ("hooli", "57P03"),
                             ("solo", "0A000")):
        error = error_of(session, f"SET app.tenant = '{tenant}'")
        assert (error.sqlstate, error.severity) == (sqlstate, "ERROR")
        assert who(session) == "globex"
    assert "call billing" in error_of(session, "SET app.tenant = 'hooli'").message
    assert error_of(session, "SELECT set_config('app.tenant', name, false) FROM whoami").sqlstate == "0A000"
    # A database that is not there.
    assert error_of(session, "SET app.tenant = 'gone'").sqlstate == "3D000"
    assert who(session) == "globex"


@pytest.mark.parametrize("leaving", ["RESET app.tenant", "SET app.tenant TO DEFAULT", "SET app.tenant = ''",
                                     "RESET ALL", "DISCARD ALL"])
def test_taken_back(session, leaving):
    session.rows("SET app.tenant = 'globex'")
    assert who(session) == "globex"
    session.rows(leaving)
    assert error_of(session, "SELECT 1").sqlstate == "28000"
    session.rows("SET app.tenant = 'soylent'")
    assert who(session) == "soylent"


def test_two_hints_must_agree(session):
    session.rows("SET app.tenant = 'globex'")
    session.rows("SET search_path TO tenant_globex")
    error = error_of(session, "SET search_path TO tenant_acme")
    assert error.sqlstate == "28000"
    assert "globex" in error.detail and "acme" in error.detail
    session.rows("RESET app.tenant")
    session.rows("SET search_path TO tenant_acme, public")
    assert who(session) == "acme"


def test_a_tenant_fixed_by_the_login(lodge):
    with lodge.login("trusted.globex", "crm") as session:
        for sql in ("SET app.tenant = 'acme'", "SET search_path TO tenant_acme", "SELECT set_config('app.tenant', 'acme', false)"):
            assert error_of(session, sql).sqlstate == "28000"
        session.rows("SET app.tenant = 'globex'")
        session.rows("SET search_path TO tenant_globex")
        session.rows("RESET ALL")
        assert who(session) == "globex"


def test_a_tenant_of_the_startup_packet_can_change_and_come_back(lodge):
    with lodge.login("trusted", "crm@globex") as session:
        assert who(session) == "globex"
        session.rows("SET app.tenant = 'acme'")
        assert who(session) == "acme"
        session.rows("RESET app.tenant")
        assert who(session) == "globex"
        session.rows("SET search_path TO tenant_soylent, public")
        assert who(session) == "soylent"
        session.rows("DISCARD ALL")
        assert (who(session), where(session)) == ("globex", "saas")


def test_what_belonged_to_the_old_one_is_gone(session, lodge):
    session.rows("SET app.tenant = 'globex'")
    session.rows("CREATE TEMP TABLE mine AS SELECT 1; PREPARE p AS SELECT 1; LISTEN news")
    session.rows("SELECT pg_advisory_lock(4711)")
    session.rows("SET app.tenant = 'soylent'")
    assert error_of(session, "TABLE mine").sqlstate == "42P01"
    assert error_of(session, "EXECUTE p").sqlstate == "26000"
    assert session.rows("SELECT pg_listening_channels()") == []
    assert session.value("SELECT pg_try_advisory_lock(4711)") == "t"
    session.rows("SELECT pg_advisory_unlock_all()")
    session.rows("SET app.tenant = 'globex'")
    assert who(session) == "globex"


def test_the_guard_holds_between_the_changes(session):
    session.rows("SET app.tenant = 'globex'")
    for sql in ("SET ROLE postgres", "SET search_path TO secrets", "DO $$ BEGIN PERFORM 1; END $$; SET search_path TO secrets"):
        assert error_of(session, sql).sqlstate in ("42501", "25001"), sql
    assert who(session) == "globex"


def test_no_tenant_with_a_place(start_lodge, postgres):
    with start_lodge(routes(postgres, "route"), TRUST) as lodge, lodge.login("trusted", "crm") as session:
        assert session.value("SELECT 1") == "1"
        session.rows("SET search_path TO tenant_acme, public")
        assert (who(session), where(session)) == ("acme", "acme")
        session.rows("SET search_path TO tenant_globex, public")
        assert who(session) == "globex"
        session.rows("SET search_path TO public")
        assert error_of(session, "SELECT name FROM whoami").sqlstate == "42P01"
        assert where(session) == "saas"


def test_many_take_turns_on_one_connection(lodge):
    names = {"globex": "globex", "soylent": "soylent", "acme": "acme"}
    sessions = [(tenant, lodge.login("trusted", "crm")) for tenant in list(names) * 4]
    for round in range(6):
        for at, (_, wire) in enumerate(sessions):
            tenant = list(names)[(at + round) % 3]
            wire.rows(f"SET app.tenant = '{tenant}'")
            sessions[at] = (tenant, wire)
        for tenant, wire in sessions:
            assert who(wire) == names[tenant]
    for _, wire in sessions:
        wire.close()


def test_sessions_of_their_own_connection_must_name_it_when_they_begin(start_lodge, postgres):
    with start_lodge(routes(postgres), {"auth": {"method": "passthrough"}}) as lodge:
        with pytest.raises(ServerError) as caught:
            lodge.login("trusted", "crm")
        assert (caught.value.sqlstate, caught.value.severity) == ("28000", "FATAL")


def test_a_new_table_changes_the_hints(start_lodge, postgres):
    table = routes(postgres)
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted", "crm") as session:
        session.rows("SET app.tenant = 'globex'")
        lodge.reload(table | {"hints": [{"user": "{role}.{tenant}"}, {"variable": "app.customer"}]})

        def named():
            session.rows("SET app.customer = 'acme'")
            return who(session) == "acme"
        eventually(named, "the new hint is heard")


def test_what_is_sent_ahead_waits_until_it_is_known_whose_it_is(session):
    session.rows("SET app.tenant = 'globex'")
    ask = query("SELECT name FROM whoami")
    failing = query("SELECT set_config('app.tenant', 'acme', false), pg_sleep(0.2), 1/(random()*0)::int")
    session.send(failing + ask + ask)
    rows, errors = answers(session, 3)
    assert (rows, [error.sqlstate for error in errors]) == ([("globex",), ("globex",)], ["22012"])
    session.rows("CREATE TEMP TABLE mine AS SELECT 1")
    session.send(failing + ask[:4])
    assert len(answers(session)[1]) == 1
    session.send(ask[4:])
    assert answers(session) == ([("globex",)], [])
    session.rows("CREATE TEMP TABLE mine AS SELECT 1")
    session.send(query("RESET app.tenant") + ask + query("SELECT count(*) FROM mine"))
    rows, errors = answers(session, 3)
    assert (rows, [error.sqlstate for error in errors]) == ([], ["28000", "28000"])


def test_what_failed_is_not_remembered(session):
    session.rows("SET app.tenant = 'globex'")
    error_of(session, "SELECT set_config('app.tenant', 'acme', false), 1/0")
    session.rows("SET search_path TO tenant_globex, public")
    assert (who(session), where(session)) == ("globex", "saas")
    session.rows("SET app.tenant = 'umbrella'")
    session.rows("SET search_path TO extra, public")
    error_of(session, "SELECT set_config('app.tenant', 'globex', false), 1/0")
    assert session.value("SHOW search_path") == "extra, public"


def test_naming_instead_of_copy_data(session):
    session.rows("SET app.tenant = 'globex'")
    session.send(query("COPY whoami FROM STDIN"))
    session.until(b"G")
    session.send(query("SET app.tenant = 'acme'"))
    with pytest.raises(ServerError) as caught:
        answers(session)
    assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", "08P01")


def test_texts_that_can_be_read_in_two_ways(session):
    session.rows("SET standard_conforming_strings = off")
    two = "SET app.x = 'a\\'; SET app.y = '; SELECT name, current_user FROM tenant_globex.whoami; --'"
    assert error_of(session, two).sqlstate in ("28000", "0A000")


def test_who_waits_learns_nothing_of_the_place(session):
    describe = message(b"D", b"Sx\0")
    for messages in (pbe("SET work_mem = '1MB'") + parse("SELECT * FROM tenant_globex.whoami", "x") + describe,
                     parse("SELECT set_config('app.tenant', 'globex', false), name FROM tenant_soylent.whoami", "x") + describe):
        session.send(messages + SYNC)
        assert [error.sqlstate for error in answers(session)[1]] == ["28000"]


def test_what_cannot_be_read_names_nobody(lodge):
    with lodge.login("trusted", "crm@umbrella") as session:
        for sql in (f"/*{'x' * 70000}*/SET app.tenant = 'acme'; SELECT 1", "SELECT set_config('app.ten' || 'ant', 'acme', false)"):
            assert error_of(session, sql).sqlstate == "0A000"
        session.send(parse("SELECT set_config('app.tenant', 'acme', false)", "nm") + SYNC)
        answers(session)
        assert error_of(session, "EXECUTE nm").sqlstate == "0A000"
        assert who(session) == "crm_umbrella"


def test_pins_do_not_outlive_the_change(lodge):
    with lodge.login("trusted", "crm") as first, lodge.login("trusted", "crm") as second:
        for wire in (first, second):
            wire.rows("SET app.tenant = 'globex'")
            wire.rows("SELECT setseed(0.1)")
            wire.rows("SET app.tenant = 'soylent'")
            assert who(wire) == "soylent"


def test_a_query_in_the_pipeline_of_a_change_is_skipped_with_the_rest(session):
    session.send(pbe("SET app.tenant = 'globex'") + pbe("LISTEN x") + query("SELECT 1") + SYNC + query("SELECT 2"))
    rows, errors = answers(session, 2)
    assert (rows, [error.sqlstate for error in errors]) == ([], ["25001", "28000"])


def test_coming_back_to_a_tenant_that_is_gone_ends_the_session(start_lodge, postgres):
    table = routes(postgres)
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted", "crm@globex") as session:
        session.rows("SET app.tenant = 'acme'")
        lodge.reload(table | {"tenants": {name: says for name, says in table["tenants"].items() if name != "globex"}})
        assert who(session) == "acme"
        with pytest.raises(ServerError) as caught:
            session.rows("RESET app.tenant")
        assert (caught.value.sqlstate, caught.value.severity) == ("3D000", "ERROR")
        assert who(session) == "acme"


def test_a_change_fails_when_there_is_nowhere_to_go_back_to(start_lodge, postgres):
    table = routes(postgres)
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted", "crm@globex") as session:
        session.send(query("SELECT set_config('app.tenant', 'acme', false), pg_sleep(1), 1/(random()*0)::int"))
        eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1), 1/%'"
                                          " AND state = 'active' AND pid <> pg_backend_pid()"), "it runs")
        lodge.reload(table | {"tenants": {name: says for name, says in table["tenants"].items() if name != "globex"}})
        assert [error.sqlstate for error in answers(session)[1]] == ["22012"]
        with pytest.raises(ServerError) as caught:
            session.rows("SELECT 1")
        assert (caught.value.sqlstate, caught.value.severity) == ("3D000", "FATAL")


def test_a_change_of_tenant_by_a_connection_that_cannot_be_dressed(lodge, hidden):
    """What names the tenant goes out on one that a timeout of somebody else's is in force on, and then on a new one."""
    with lodge.login("trusted.globex", "crm") as first, lodge.login("trusted", "crm") as victim:
        victim.rows("SET app.tenant = 'globex'")
        for begin in range(0, 400, 100):
            victim.rows(";".join(f"SET app.other{n} = '{n:0500}'" for n in range(begin, begin + 100)))
        for tenant in ("soylent", "globex") * 10:
            for sends in query(f"SET app.tenant = '{tenant}'"), pbe("SELECT name FROM whoami") + SYNC:
                first.rows("SELECT public.hidden('statement_timeout', '1')")
                victim.send(sends)
                rows, errors = answers(victim)
                assert not errors
            assert rows == [(tenant,)]


def test_what_is_refused_when_it_is_said_again(start_lodge, postgres, hidden):
    """By a table that came meanwhile: no server is needed for that, and nobody is kept from his turn."""
    table = routes(postgres, "route", 2)
    later, table["hints"] = table["hints"], [{"user": "{role}.{tenant}"}]
    lodge = start_lodge(table, {**TRUST, "workers": 1})
    with lodge.login("trusted", "crm") as victim, lodge.login("trusted.globex", "crm") as other, \
         waiting_for_a_snapshot(lodge):
        victim.send(query("SELECT set_config('app.' || 'x', '1', false)"))
        pid = eventually(lambda: postgres.value("SELECT max(pid) FROM pg_stat_activity WHERE wait_event = 'SafeSnapshot'"),
                         "it waits for the snapshot")
        lodge.reload({**table, "hints": later})
        postgres.value(f"SELECT pg_terminate_backend({pid})")
        assert [error.sqlstate for error in answers(victim)[1]] == ["0A000"]
        assert other.value("SELECT 1") == "1"
        assert victim.value("SELECT 2") == "2"
