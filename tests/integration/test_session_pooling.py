"""Session pooling: a connection of its own for each session, which goes on to the next one that begins alike."""

import asyncio
import contextlib
import struct
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from cluster import PASSWORD
from fake_server import FakeServer, READY, let_in, trusting
from lodge import eventually, standard_routes
from test_auth_methods import write_users
from test_cancel import send_cancel
from wire import ServerError, columns, message, query

DAEMON = {"auth": {"method": "trust"}, "admin": {"users": ["root"]}, "timeouts": {"server_idle": "1h"}}
TERMINATE = b"X\0\0\0\4"


def table_of(host, **pool):
    table = standard_routes(host, pool="session")
    table["databases"]["shared"]["pool"] = pool or {"size": 5}
    return table


@pytest.fixture(scope="module")
def start(start_lodge):
    """start(table, **daemon): a lodge that is left with no connection to a server."""
    @contextlib.contextmanager
    def one(table, **daemon):
        with start_lodge(table, {**DAEMON, **daemon}) as lodge:
            yield lodge
            forget(lodge)
    return one


@pytest.fixture(scope="module")
def shared(start, postgres):
    with start(table_of(postgres.host)) as lodge:
        yield lodge


@pytest.fixture
def lodge(shared):
    forget(shared)
    return shared


def forget(lodge):
    """Has the connections closed that are idle."""
    with lodge.login("root", "pglodge") as console:
        console.rows("RECONNECT")
        eventually(lambda: not servers(console), "nothing is idle")


def table(console, sql):
    """The rows by their columns' names."""
    console.send(query(sql))
    names, found = [], []
    for kind, body in console.until(b"Z"):
        if kind == b"T":
            names = names_of(body)
        if kind == b"D":
            found.append(dict(zip(names, columns(body))))
    return found


def servers(console, state=None):
    """The process ids of the connections that are there."""
    return [int(row["remote_pid"]) for row in table(console, "SHOW SERVERS") if state in (None, row["state"])]


def names_of(body):
    names, at = [], 2
    for _ in range(struct.unpack("!H", body[:2])[0]):
        end = body.index(b"\0", at)
        names.append(body[at:end].decode())
        at = end + 19
    return names


def idle(lodge):
    with lodge.login("root", "pglodge") as console:
        return servers(console, "idle")


def leaves(lodge, wire, how=TERMINATE):
    """Its client goes; gives the connection that is idle then."""
    pid = wire.process_id
    wire.send(how)
    wire.close()
    eventually(lambda: pid in idle(lodge), "the connection is there for the next")
    return pid


def is_gone(lodge, postgres, pid):
    eventually(lambda: not postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid), "it is closed")
    assert pid not in idle(lodge)


@pytest.mark.parametrize("how", [TERMINATE, b""])
def test_the_next_session_like_it_gets_the_connection(lodge, how):
    first = lodge.login("trusted.globex", "crm")
    assert first.value("SELECT name FROM whoami") == "globex"
    pid = leaves(lodge, first, how)
    for _ in range(5):  # on whichever worker
        with lodge.login("trusted.globex", "crm") as next_one:
            assert next_one.process_id == pid == int(next_one.value("SELECT pg_backend_pid()"))
            assert next_one.value("SELECT name FROM whoami") == "globex"
            assert next_one.parameters == first.parameters
            leaves(lodge, next_one)


LEAVES_BEHIND = [
    ("SET work_mem = '7MB'", "SHOW work_mem"),
    ("SET search_path = public", "SHOW search_path"),
    ("SET ROLE tenant_soylent", "SELECT current_user"),
    ("SET app.mine = 'x'", "SELECT coalesce(current_setting('app.mine', true), '')"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW transaction_read_only"),
    ("PREPARE mine AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements"),
    ("DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors"),
    ("SELECT pg_advisory_lock(4711)",
     "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"),
    ("LISTEN mine", "SELECT count(*) FROM pg_listening_channels()"),
    ("SET client_encoding = LATIN1", "SHOW client_encoding"),
]


@pytest.mark.parametrize("does, shows", LEAVES_BEHIND)
def test_nothing_of_a_session_is_left_for_the_next(lodge, does, shows):
    with lodge.login("trusted.globex", "crm", application_name="mine", options="-c work_mem=6MB") as first:
        before, parameters = first.value(shows), dict(first.parameters)
        first.rows(does)
        assert first.value(shows) != before
        pid = leaves(lodge, first)
    with lodge.login("trusted.globex", "crm", application_name="mine", options="-c work_mem=6MB") as second:
        assert (second.process_id, second.value(shows), second.parameters) == (pid, before, parameters)
        # And RESET comes back to what it began with.
        second.rows("SET work_mem = '9MB'")
        second.rows("RESET work_mem")
        assert second.value("SHOW work_mem") == "6MB"
        assert second.value("SHOW application_name") == "mine"


def test_random_numbers_cannot_be_foreseen(lodge):
    draws = []
    for _ in range(2):
        with lodge.login("trusted.globex", "crm") as session:
            draws.append(session.value("SELECT random()"))
            session.rows("SELECT setseed(0.5)")
            leaves(lodge, session)
    with lodge.login("trusted.globex", "crm") as session:
        seeded = session.value("SELECT random()")
        session.rows("SELECT setseed(0.5)")
        assert seeded != session.value("SELECT random()")
    assert len({*draws, seeded}) == 3


@pytest.mark.parametrize("other", [
    {"user": "trusted.soylent"},
    {"user": "intruder.globex"},
    {"application_name": "another"},
    {"options": "-c work_mem=6MB"},
])
def test_others_get_another(start, postgres, other):
    """Another tenant, role or start. Without a schema of its own a tenant's startup packet says nothing of it."""
    table = table_of(postgres.host)
    table["defaults"]["schema"] = None
    with start(table) as lodge:
        pid = leaves(lodge, lodge.login("trusted.globex", "crm"))
        with lodge.login(**{"user": "trusted.globex", "database": "crm", **other}) as session:
            assert session.process_id != pid
        with lodge.login("trusted.globex", "crm") as session:
            assert session.process_id == pid


def test_who_leaves_with_something_open_takes_the_connection_along(lodge, postgres):
    for sql in ("BEGIN", "SELECT pg_sleep(60)", "CREATE TEMP TABLE mine (); COPY mine FROM STDIN"):
        session = lodge.login("trusted.globex", "crm")
        session.send(query(sql))
        if sql == "BEGIN":
            session.until(b"Z")
        elif "COPY" in sql:
            session.until(b"G")
        else:
            eventually(postgres.sleeps, "it sleeps")
        session.send(TERMINATE)
        session.close()
        if "pg_sleep" in sql:
            postgres.value("SELECT pg_terminate_backend(%s)", session.process_id)
        is_gone(lodge, postgres, session.process_id)


def test_who_had_temporary_tables_takes_the_connection_along(lodge, postgres):
    """Their schema would stay, and can be told: PREPARE TRANSACTION says something else."""
    with lodge.login("trusted.globex", "crm") as session:
        session.rows("CREATE TEMP TABLE mine (); DROP TABLE mine")
        session.send(TERMINATE)
        is_gone(lodge, postgres, session.process_id)


def test_a_goodbye_behind_statements_is_the_servers(lodge, postgres):
    with lodge.login("trusted.globex", "crm") as session:
        session.send(query("SELECT pg_sleep(0.2)") + TERMINATE)
        session.until(b"Z")
        is_gone(lodge, postgres, session.process_id)


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_goodbye_in_pieces(start, cut):
    """What has gone out already cannot be held back: the rest follows, and the server's session ends."""
    said = []

    async def handler(server, reader, writer):
        await let_in(server, reader, writer)
        for count in (cut, len(TERMINATE) - cut):
            part = await reader.readexactly(count)
            with server.changed:
                said.append(part)
                server.changed.notify_all()
    with FakeServer(handler) as server, start(table_of(server.host)) as lodge:
        with lodge.login("trusted.globex", "crm") as session:
            session.send(TERMINATE[:cut])
            server.wait(lambda here: len(said) == 1)
            session.send(TERMINATE[cut:])
            server.wait(lambda here: here.open == 0)
        assert b"".join(said) == TERMINATE


def test_a_cancel_request_comes_too_late(lodge, postgres):
    first = lodge.login("trusted.globex", "crm")
    process_id, secret = first.process_id, first.secret
    leaves(lodge, first)
    with lodge.login("trusted.globex", "crm") as second:
        assert second.process_id == process_id and second.secret != secret
        second.send(query("SELECT pg_sleep(0.5)"))
        eventually(postgres.sleeps, "it sleeps")
        send_cancel(lodge, process_id, secret)
        second.until(b"Z")  # no error
        second.send(query("SELECT pg_sleep(60)"))
        eventually(postgres.sleeps, "it sleeps again")
        send_cancel(lodge, second.process_id, second.secret)
        with pytest.raises(ServerError) as caught:
            second.until(b"Z")
        assert caught.value.sqlstate == "57014"


def test_a_changed_configuration_is_told_the_next(lodge, postgres):
    with lodge.login("trusted.globex", "crm") as first:
        assert first.parameters["TimeZone"] != "Asia/Tokyo"
        postgres.value("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
        try:
            postgres.value("SELECT pg_reload_conf()")
            eventually(lambda: first.value("SHOW timezone") == "Asia/Tokyo", "it is heard of")
            pid = leaves(lodge, first)
            with lodge.login("trusted.globex", "crm") as second:
                assert (second.process_id, second.parameters["TimeZone"]) == (pid, "Asia/Tokyo")
                leaves(lodge, second)
        finally:
            postgres.value("ALTER SYSTEM RESET timezone")
            postgres.value("SELECT pg_reload_conf()")
        # A server hears of it with its next statement, and so does the client.
        with lodge.login("trusted.globex", "crm") as third:
            eventually(lambda: third.value("SHOW timezone") == third.parameters["TimeZone"] != "Asia/Tokyo", "it hears")
            leaves(lodge, third)


def test_an_idle_one_makes_room(start, postgres):
    table = table_of(postgres.host, size=1)
    table["defaults"]["limits"] = {"wait": "5s"}
    with start(table) as lodge:
        pid = leaves(lodge, lodge.login("trusted.globex", "crm"))
        with lodge.login("trusted.soylent", "crm") as other:
            assert other.value("SELECT name FROM whoami") == "soylent"
            is_gone(lodge, postgres, pid)


def test_who_waits_gets_what_is_left_behind(start, postgres):
    table = table_of(postgres.host, size=1)
    table["defaults"]["limits"] = {"wait": "10s"}
    with start(table) as lodge, lodge.login("root", "pglodge") as console:
        first = lodge.login("trusted.globex", "crm")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lodge.login, "trusted.globex", "crm")
            eventually(lambda: "waiting" in str(console.rows("SHOW CLIENTS")), "it waits")
            first.send(TERMINATE)
            with waiting.result(timeout=10) as second:
                assert second.process_id == first.process_id


def test_a_login_saved(start, postgres, tmp_path):
    """The server is asked for no password again, and the lodge still asks the client for its own."""
    stored = postgres.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    users = {"method": "scram-sha-256", "users": str(write_users(tmp_path, [("app", stored)])),
             "rules": [{"database": "pglodge", "method": "trust"}, {"method": "scram-sha-256"}]}
    with start(table_of(postgres.host), auth=users) as lodge:
        app = {"host": "127.0.0.1", "port": lodge.port, "user": "app.globex", "dbname": "crm"}
        pids = set()
        for _ in range(3):
            with psycopg.connect(**app, password=PASSWORD) as one:
                pids.add(one.execute("SELECT pg_backend_pid()").fetchone()[0])
            eventually(lambda: pids & set(idle(lodge)), "it is there for the next")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**app, password="wrong")
        assert len(pids) == 1


def test_who_is_refused_takes_no_connection_along(start, postgres):
    table = table_of(postgres.host)
    table["defaults"]["limits"] = {"clients": 1}
    with start(table) as lodge:
        pid = leaves(lodge, lodge.login("trusted.globex", "crm"))
        with lodge.login("trusted.globex", "crm", application_name="another") as only:
            with pytest.raises(ServerError) as caught:
                lodge.login("trusted.globex", "crm")
            assert caught.value.sqlstate == "53300"
            eventually(lambda: pid in idle(lodge), "it is there for the next")
            leaves(lodge, only)
        with lodge.login("trusted.globex", "crm") as after:
            assert after.process_id == pid


def test_a_session_that_was_killed_takes_its_connection_along(lodge, postgres):
    with lodge.login("trusted.globex", "crm") as session, lodge.login("root", "pglodge") as console:
        console.rows("KILL TENANT 'globex'")
        is_gone(lodge, postgres, session.process_id)


def test_the_console_tells_of_them(lodge):
    pid = leaves(lodge, lodge.login("trusted.globex", "crm", application_name="one"))
    with lodge.login("trusted.globex", "crm", application_name="two"), lodge.login("root", "pglodge") as console:
        mine = [row for row in table(console, "SHOW POOLS") if row["user"] == "trusted"]
        shown = ("sv_active", "sv_idle", "cl_active", "pool_mode")
        assert [tuple(row[name] for name in shown) for row in mine] == [("1", "1", "1", "session")]
        assert servers(console, "idle") == [pid]


REFUSALS = [
    pytest.param(message(b"E", b"SERROR\0VERROR\0C42501\0Mno\0\0") + READY, id="an error"),
    pytest.param(message(b"I") + READY, id="another answer"),
    pytest.param(message(b"C", b"DISCARD ALL\0") + message(b"Z", b"T"), id="in a transaction"),
    pytest.param(message(b"C", b"DISCARD ALL\0") + READY + message(b"I") + READY, id="an answer too many"),
]


@pytest.mark.parametrize("answer", REFUSALS)
def test_what_cannot_be_reset_is_closed(start, answer):
    async def handler(writer):
        writer.write(answer)
        await writer.drain()
    with FakeServer(trusting(after_query=handler)) as server, start(table_of(server.host)) as lodge:
        for count in (1, 2, 3):
            with lodge.login("trusted.globex", "crm") as session:
                session.send(TERMINATE)
            server.wait(lambda here: here.open == 0)
            assert server.connections == count


def test_a_server_that_does_not_answer_the_reset(start):
    async def never(writer):
        while True:
            await asyncio.sleep(60)
    quick = {"connect": "300ms"}
    with FakeServer(trusting(after_query=never)) as server, start(table_of(server.host), timeouts=quick) as lodge:
        with lodge.login("trusted.globex", "crm") as session:
            session.send(TERMINATE)
        server.wait(lambda here: here.connections == 1)
        eventually(lambda: lodge.descriptors() <= lodge.descriptors_before, "the connection is closed")
