"""A tenant's limits, for sessions that share connections and for those that have one of their own."""

import asyncio
import signal
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing

import pytest
import yaml
from fake_server import READY, FakeServer, let_in
from lodge import SANITIZED, eventually, standard_routes
from test_attacks import SYNC, answers, pbe
from test_pooling import TRUST, refused
from wire import Closed, ServerError, cancel_request, message, query

MODES = ["transaction", "session"]


def limited(postgres, mode="transaction", **limits):
    """soylent has limits, globex has none."""
    table = standard_routes(postgres.host)
    table["tenants"]["soylent"] = {"pool": mode, "limits": limits}
    return table


@pytest.fixture
def open_lodge(start_lodge, postgres):
    opened = []

    def make(*args, **limits):
        opened.append(start_lodge(limited(postgres, *args, **limits), TRUST))
        return opened[-1]
    return make


def enter(lodge, tenant="soylent"):
    return lodge.login(f"trusted.{tenant}", "crm")


def turned_away(lodge):
    with pytest.raises(ServerError) as caught:
        enter(lodge)
    return caught.value


# --- clients ---

@pytest.mark.parametrize("mode", MODES)
def test_no_more_clients_than_the_limit(open_lodge, mode):
    lodge = open_lodge(mode, clients=2)
    with enter(lodge) as first:
        with enter(lodge):
            error = turned_away(lodge)
            assert (error.severity, error.sqlstate) == ("FATAL", "53300")
            assert "limits.clients is 2" in error.detail
            with enter(lodge, "globex") as other:
                assert other.value("SELECT name FROM whoami") == "globex"
        # One has left.
        with eventually(lambda: attempt(lodge), "there is room again") as third:
            assert third.value("SELECT name FROM whoami") == first.value("SELECT name FROM whoami") == "soylent"


def attempt(lodge):
    try:
        return enter(lodge)
    except ServerError as error:
        assert error.sqlstate == "53300"
        return None


def test_a_session_cannot_move_to_a_tenant_that_is_full(start_lodge, postgres):
    table = limited(postgres, clients=1)
    table["hints"] += [{"variable": "app.tenant"}]
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted", "crm", **{"app.tenant": "globex"}) as mover:
        with lodge.login("trusted", "crm", **{"app.tenant": "soylent"}):
            error = refused(mover, "SET app.tenant = 'soylent'")
            assert error.sqlstate == "53300"
            assert mover.value("SELECT name FROM whoami") == "globex"

        def move():
            try:
                mover.rows("SET app.tenant = 'soylent'")
                return True
            except ServerError as refusal:
                assert refusal.sqlstate == "53300"
                return False
        eventually(move, "there is room for it")
        assert mover.value("SELECT name FROM whoami") == "soylent"


# --- notices ---

def test_who_waits_for_long_is_told_why(start_lodge, postgres):
    table = limited(postgres, connections=1, wait="20s")
    with start_lodge(table, {**TRUST, "timeouts": {"query_wait_notify": "300ms"}}) as lodge:
        with enter(lodge) as holder, closing(lodge.connect("trusted.soylent")) as waiter, ThreadPoolExecutor(1) as pool:
            cursor = waiter.cursor()
            cursor.execute("SELECT 1")
            assert waiter.notices == []
            holder.rows("BEGIN")
            answer = pool.submit(cursor.execute, "SELECT 2")
            # Notices are seen when the answer comes: this one is sent before anything else is.
            assert not wait([answer], timeout=2).done
            holder.rows("COMMIT")
            answer.result(15)
            assert cursor.fetchall() == [(2,)]
            told = "".join(waiter.notices)
            assert told.count("NOTICE:  waiting for a server connection") == 1
            assert 'All connections that tenant "soylent" may have are in use: limits.connections is 1.' in told

        # A tenant that is held, in the middle of a pipeline.
        with enter(lodge) as wire:
            table["tenants"]["soylent"]["state"] = "held"
            lodge.reload(table)
            wire.send(pbe("SELECT 3") + pbe("SELECT 4") + SYNC)
            assert b'waiting for tenant "soylent" to be released' in wire.until(b"N")[-1][1]
            del table["tenants"]["soylent"]["state"]
            lodge.reload(table)
            assert answers(wire) == ([("3",), ("4",)], [])


# --- rates ---

@pytest.mark.parametrize("mode", MODES)
def test_statements_come_at_the_rate(open_lodge, mode):
    lodge = open_lodge(mode, queries_per_second=100, burst=10)
    stop = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        def client(_):
            done = 0
            with enter(lodge) as wire:
                while not stop.is_set():
                    wire.rows("SELECT 1")
                    done += 1
            return done
        began = time.monotonic()
        clients = [pool.submit(client, number) for number in range(3)]
        with enter(lodge, "globex") as other:
            for _ in range(100):
                other.rows("SELECT pg_sleep(0.01)")
        stop.set()
        done = sum(each.result() for each in clients)
        elapsed = time.monotonic() - began
    # Never more than the rate and the burst, and what was on its way.
    assert done <= 100 * elapsed + 10 + 3
    assert done >= 50 * elapsed  # a machine that is busy elsewhere reaches less


def test_a_long_transaction_is_paid_for_afterwards(open_lodge):
    lodge = open_lodge(queries_per_second=20, burst=1, wait="10s")
    with enter(lodge) as wire:
        wire.rows("BEGIN")
        for _ in range(19):
            wire.rows("SELECT 1")
        wire.rows("COMMIT")
        began = time.monotonic()
        wire.rows("SELECT 1")
        assert time.monotonic() - began > 0.5


@pytest.mark.parametrize("limits, word", [
    ({"queries_per_second": 1, "burst": 1}, "limits.queries_per_second is 1, limits.burst 1"),
    ({"bytes_per_second": "1KiB"}, "limits.bytes_per_second is 1024"),
])
def test_who_would_wait_for_its_rate_for_too_long_is_told(open_lodge, limits, word):
    lodge = open_lodge(wait="100ms", **limits)
    with enter(lodge) as wire:
        wire.rows("SELECT repeat('x', 10000)")
        error = refused(wire, "SELECT 1")
        assert (error.severity, error.sqlstate) == ("ERROR", "53400")
        assert word in error.detail
        assert wire.status == "I"
        wire.send(pbe("SELECT 1") + pbe("SELECT 2") + SYNC)
        rows, errors = answers(wire)
        assert (rows, [each.sqlstate for each in errors]) == ([], ["53400"])


def test_bytes_are_paid_for_by_the_next_statement(open_lodge):
    lodge = open_lodge(bytes_per_second="100KiB", wait="10s")
    with enter(lodge) as wire:
        wire.rows("SELECT repeat('x', 160000)")
        began = time.monotonic()
        wire.rows("SELECT 1")
        assert time.monotonic() - began > 0.4


def test_a_pinned_session_waits_for_what_it_had(open_lodge):
    lodge = open_lodge(queries_per_second=10, burst=1, wait="10s")
    with enter(lodge) as wire:
        wire.rows("SELECT pg_advisory_lock(1)")
        began = time.monotonic()
        for _ in range(10):
            wire.rows("SELECT 1")
        assert time.monotonic() - began > 0.7


def test_what_waits_for_its_rate_does_not_run_once_its_session_is_over(start_lodge, postgres):
    table = limited(postgres, "session", bytes_per_second="1KiB")
    with start_lodge(table, TRUST) as lodge, enter(lodge) as wire:
        wire.rows("CREATE TABLE IF NOT EXISTS written(n int); TRUNCATE written; SELECT repeat('x', 100000)")
        wire.send(query("INSERT INTO written VALUES (1)"))
        moved = limited(postgres, "session", bytes_per_second="1KiB")
        moved["tenants"]["soylent"].update(database="acme", schema=None)
        lodge.reload(moved)
        with pytest.raises(ServerError) as caught:
            wire.until(b"Z")
        assert caught.value.sqlstate == "57P01"
        lodge.reload(limited(postgres, "session"))
        with enter(lodge) as after:
            assert after.rows("SELECT * FROM written") == []
            after.rows("DROP TABLE written")


def test_who_leaves_while_it_owes_gives_its_connection_back(start_lodge, postgres):
    table = limited(postgres, "session", bytes_per_second="1KiB", clients=1)
    with start_lodge(table, TRUST) as lodge:
        with enter(lodge) as wire:
            wire.rows("SELECT repeat('x', 1000000)")
        with eventually(lambda: attempt(lodge), "it is gone"):
            pass


@pytest.mark.parametrize("mode", MODES)
def test_who_waits_for_the_lodge_is_not_idle(start_lodge, postgres, mode):
    table = limited(postgres, mode, queries_per_second=1, burst=1, wait="20s")
    with start_lodge(table, {**TRUST, "timeouts": {"idle": "500ms"}}) as lodge, enter(lodge) as wire:
        for _ in range(3):
            assert wire.rows("SELECT 1") == [("1",)]


def test_who_waits_for_its_rate_can_be_cancelled_and_can_leave(open_lodge):
    lodge = open_lodge(queries_per_second=1, burst=1, wait="60s")
    with enter(lodge) as wire:
        for _ in range(5):
            wire.send(pbe("SELECT 1"))
        wire.send(SYNC)
        answers(wire)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(refused, wire, "SELECT 2")

            def cancel():
                with lodge.wire() as other:
                    other.send(cancel_request(wire.process_id, wire.secret))
                    other.expect_closed()
                return waiting.done()
            eventually(cancel, "it is cancelled")
            assert waiting.result().sqlstate == "57014"


# --- times ---

@pytest.mark.parametrize("mode", MODES)
def test_a_statement_that_runs_for_too_long_is_cancelled(open_lodge, mode):
    lodge = open_lodge(mode, query_time="1s")
    with enter(lodge) as wire:
        error = refused(wire, "SELECT pg_sleep(60)")
        assert (error.severity, error.sqlstate) == ("ERROR", "57014")
        if mode == "transaction":
            assert "limits.query_time is 1000ms" in error.detail
        for _ in range(25):  # many short ones are no long one
            wire.rows("SELECT pg_sleep(0.05)")
        wire.send(pbe("SELECT pg_sleep(60)") + pbe("SELECT 2") + SYNC)
        rows, errors = answers(wire)
        assert (rows, [each.sqlstate for each in errors]) == ([], ["57014"])
        assert wire.value("SELECT name FROM whoami") == "soylent"


def test_a_cancel_that_comes_late_does_not_hit_the_next_statement(start_lodge):
    """The statement ends by itself while the request is under way, and the client goes on at once."""
    released = asyncio.Event()
    queries = []

    async def slow_with_cancels(server, reader, writer):
        if not await let_in(server, reader, writer):
            await released.wait()
            return
        while await reader.readexactly(1) == b"Q":
            text = await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0] - 4)
            queries.append(text)
            while len(queries) == 1 and not server.cancels:
                await asyncio.sleep(0.01)
            writer.write(message(b"I") + READY)
            await writer.drain()

    with FakeServer(slow_with_cancels) as server:
        table = standard_routes(server.host, pool="session")
        table["defaults"]["limits"] = {"query_time": "200ms"}
        with start_lodge(table, {"auth": {"method": "trust"}}) as lodge, lodge.login("anybody.globex") as wire:
            wire.send(query("SELECT 1"))
            wire.until(b"Z")
            wire.send(query("SELECT 2"))
            wire.socket.settimeout(0.5)
            with pytest.raises(TimeoutError):
                wire.until(b"Z")
            assert queries == [b"SELECT 1\0"]
            server.loop.call_soon_threadsafe(released.set)
            wire.socket.settimeout(15)
            wire.until(b"Z")
            assert queries == [b"SELECT 1\0", b"SELECT 2\0"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cut", (b"", message(b"d", b"1\n2\n")[:6]))
def test_a_statement_that_waits_for_its_client_ends_the_session(open_lodge, postgres, mode, cut):
    """A server that waits for COPY data hears of no cancel request."""
    lodge = open_lodge(mode, query_time="500ms")
    with enter(lodge) as wire:
        wire.rows("CREATE TABLE IF NOT EXISTS copied (n int)")
        wire.send(query("COPY copied FROM STDIN"))
        wire.until(b"G")
        wire.send(cut)
        wire.socket.settimeout(30)
        with pytest.raises(ServerError) as caught:
            wire.until(b"Z")
        assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", "57014")
        assert caught.value.message == "terminating connection due to the tenant's limit on statements"
        eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY copied%' "
                                          "AND state = 'active'") == 0, "the server has ended it")


def test_a_clients_own_cancel_is_told_as_such(open_lodge):
    lodge = open_lodge(query_time="60s")
    with enter(lodge) as wire, ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, wire, "SELECT pg_sleep(60)")

        def cancel():
            with lodge.wire() as other:
                other.send(cancel_request(wire.process_id, wire.secret))
                other.expect_closed()
            return running.done()
        eventually(cancel, "it is cancelled")
        assert "user request" in running.result().message


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit, sqlstate, busy", [
    ("idle_in_transaction", "25P03", None), ("transaction_time", "25P04", None), ("transaction_time", "25P04", 0.05),
    ("transaction_time", "25P04", 60)])
def test_a_transaction_that_lasts_too_long_ends_the_session(open_lodge, postgres, mode, limit, sqlstate, busy):
    lodge = open_lodge(mode, **{limit: "500ms"})
    with enter(lodge) as wire:
        wire.rows("SELECT pg_sleep(0.8)")  # a statement is none, nor are the pauses between transactions
        time.sleep(0.8)  # the pause is what is tested
        wire.rows("BEGIN")
        pid = wire.value("SELECT pg_backend_pid()")
        with pytest.raises((ServerError, Closed)) as caught:
            while busy:
                wire.rows(f"SELECT pg_sleep({busy})")
            wire.until(b"Z")
        error = caught.value
        assert (error.severity, error.sqlstate) == ("FATAL", sqlstate)
        assert limit in error.detail
        eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", int(pid)) == 0,
                   "its connection is closed")


@pytest.mark.parametrize("mode", MODES)
def test_a_transaction_without_its_sync_is_idle_too(open_lodge, mode):
    lodge = open_lodge(mode, idle_in_transaction="500ms")
    with enter(lodge) as wire:
        wire.send(pbe("SELECT 1") + message(b"H"))
        with pytest.raises(ServerError) as caught:
            wire.until(b"Z")
        assert caught.value.sqlstate == "25P03"


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_transaction_that_goes_on_in_time_lives(open_lodge, mode):
    lodge = open_lodge(mode, idle_in_transaction="800ms")
    with enter(lodge) as wire:
        wire.rows("BEGIN")
        for _ in range(6):
            wire.rows("SELECT pg_sleep(0.3)")
        wire.rows("COMMIT")


@pytest.mark.parametrize("mode", MODES)
def test_a_session_that_is_idle_for_too_long_ends(start_lodge, postgres, mode):
    settings = {**TRUST, "timeouts": {"idle": "600ms"}}
    with start_lodge(limited(postgres, mode), settings) as lodge, enter(lodge) as wire:
        for _ in range(5):
            wire.rows("SELECT pg_sleep(0.3)")
        wire.rows("BEGIN")
        time.sleep(1)  # an idle transaction is another matter
        wire.rows("COMMIT")
        with pytest.raises(ServerError) as caught:
            wire.until(b"Z")
        assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", "57P05")
        assert "timeouts.idle is 600ms" in caught.value.detail


@pytest.mark.parametrize("mode", MODES)
def test_sessions_that_rest_end_in_their_own_time(start_lodge, postgres, mode):
    pauses = [0, 0.3, 0.6, 0.9, 0.45, 0.15]  # what each waits before it speaks for the last time
    with start_lodge(limited(postgres, mode), {**TRUST, "timeouts": {"idle": "1s"}}) as lodge, \
            ThreadPoolExecutor(len(pauses)) as pool:
        def idle_for(pause):
            with enter(lodge) as wire:
                time.sleep(pause)
                wire.rows("SELECT 1")
                last = time.monotonic()
                with pytest.raises(ServerError) as caught:
                    wire.until(b"Z")
                return caught.value.sqlstate, time.monotonic() - last
        for sqlstate, idle in pool.map(idle_for, pauses):
            assert sqlstate == "57P05"
            assert 0.95 < idle < (10 if SANITIZED else 3)


def test_sessions_that_rest_hear_of_all_that_concerns_them(start_lodge, postgres):
    table = limited(postgres)
    with start_lodge(table, {**TRUST, "admin": {"users": ["root"]}}) as lodge, ExitStack() as there:
        killed, one_suspended, another, idle = (there.enter_context(enter(lodge, tenant)) for tenant in
                                                ("soylent", "globex", "initech", "umbrella"))
        console = there.enter_context(lodge.login("root", "pglodge"))
        time.sleep(1)  # nobody looks at them any more
        console.rows("KILL TENANT soylent")
        assert killed.refusal().sqlstate == "57P01"
        console.rows("SUSPEND globex")
        assert refused(one_suspended, "SELECT 1").sqlstate == "57P03"
        assert another.value("SELECT 1") == "1"
        since = lodge.mark()
        lodge.config.write_text(yaml.safe_dump({**lodge.settings, "timeouts": {**lodge.settings["timeouts"], "idle": "2s"}}))
        lodge.wait_for_log("reloaded (", since=since)
        assert idle.refusal().sqlstate == another.refusal().sqlstate == "57P05"


def test_a_session_that_rests_is_drained(start_lodge, postgres):
    with start_lodge(limited(postgres), TRUST) as lodge, enter(lodge) as wire:
        time.sleep(1)
        lodge.process.send_signal(signal.SIGTERM)
        assert wire.refusal().sqlstate == "57P01"
        lodge.has_left()


# --- a change of the table ---

@pytest.mark.parametrize("mode", MODES)
def test_a_new_limit_holds_for_a_statement_that_runs(open_lodge, postgres, mode):
    lodge = open_lodge(mode, query_time="1h")
    with enter(lodge) as wire, ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, wire, "SELECT pg_sleep(60)")
        eventually(lambda: postgres.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'") == 1,
            "it runs")
        lodge.reload(limited(postgres, mode, query_time="100ms"))
        assert running.result(timeout=15).sqlstate == "57014"


# --- of roles and databases ---

def shared(postgres, mode="transaction", role=None, database=None, **more):
    """Limits of the role `trusted`, of the database `shared`; `more` are those of every tenant."""
    table = standard_routes(postgres.host, mode)
    table["defaults"]["limits"] = more
    if role:
        table["roles"] = {"trusted": {"limits": role}}
    if database:
        table["databases"]["shared"]["limits"] = database
    return table


def why_not(lodge, tenant):
    with pytest.raises(ServerError) as caught:
        enter(lodge, tenant)
    assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", "53300")
    return caught.value.detail


@pytest.mark.parametrize("mode", MODES)
def test_clients_of_a_role_and_of_a_database_over_all_tenants(start_lodge, postgres, mode):
    role, database = "roles.trusted.limits.clients is", "databases.shared.limits.clients is"
    with start_lodge(shared(postgres, mode, role={"clients": 3}, database={"clients": 2}), TRUST) as lodge:
        with enter(lodge, "globex") as first, enter(lodge, "soylent"):
            assert f"{database} 2." in why_not(lodge, "initech")
            with enter(lodge, "acme") as elsewhere:
                assert elsewhere.value("SELECT 1") == "1"
                assert f"{role} 3." in why_not(lodge, "acme")
                # The other table's limits hold at once, and end nobody's session.
                lodge.reload(shared(postgres, mode, role={"clients": 1}))
                assert f"{role} 1." in why_not(lodge, "initech")
                assert (first.value("SELECT 1"), elsewhere.value("SELECT 1")) == ("1", "1")
                lodge.reload(shared(postgres, mode, database={"clients": 3}))
                with enter(lodge, "initech"):
                    assert f"{database} 3." in why_not(lodge, "globex")


def test_a_session_is_counted_where_its_hint_takes_it(start_lodge, postgres):
    table = shared(postgres, database={"clients": 1})
    table["hints"] += [{"variable": "app.tenant"}]
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted", "crm", **{"app.tenant": "acme"}) as mover:
        with lodge.login("trusted", "crm", **{"app.tenant": "globex"}) as other:
            error = refused(mover, "SET app.tenant = 'soylent'")
            assert (error.sqlstate, error.detail) == ("53300", "databases.shared.limits.clients is 1.")
            other.rows("SET app.tenant = 'soylent'")  # it is in there
            other.rows("SET app.tenant = 'acme'")
            mover.rows("SET app.tenant = 'soylent'")
            assert "databases.shared.limits.clients is 1." in why_not(lodge, "globex")
        assert mover.value("SELECT name FROM whoami") == "soylent"


@pytest.mark.parametrize("mode", MODES)
def test_a_roles_rate_is_shared_by_its_tenants(start_lodge, postgres, mode):
    table = shared(postgres, mode, role={"queries_per_second": 10, "burst": 1}, wait="20s")
    with start_lodge(table, TRUST) as lodge, enter(lodge, "globex") as first, enter(lodge, "soylent") as second:
        began = time.monotonic()
        for _ in range(5):
            first.rows("SELECT 1")
            second.rows("SELECT 1")
        assert time.monotonic() - began > 0.7
        if mode == "transaction":  # the others are never refused
            lodge.reload(shared(postgres, mode, role={"queries_per_second": 1, "burst": 1}, wait="100ms"))
            error = eventually(lambda: late_by_rate(second), "the rate is used up")
            assert error.message == "the role's rate is used up"
            assert error.detail == ("roles.trusted.limits.queries_per_second is 1, roles.trusted.limits.burst 1.")
        lodge.reload(shared(postgres, mode))
        eventually(lambda: not late_by_rate(first), "there is no rate any more")


def late_by_rate(wire):
    try:
        wire.rows("SELECT 1")
        return None
    except ServerError as error:
        assert error.sqlstate == "53400"
        return error


@pytest.mark.parametrize("mode", MODES)
def test_the_shortest_time_holds_and_names_its_owner(start_lodge, postgres, mode):
    table = shared(postgres, mode, role={"query_time": "1h"}, database={"query_time": "0"}, query_time="2h")
    with start_lodge(table, TRUST) as lodge, enter(lodge) as wire, ThreadPoolExecutor(1) as pool:
        running = pool.submit(refused, wire, "SELECT pg_sleep(60)")
        eventually(lambda: postgres.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND state = 'active'") == 1,
            "it runs")
        # A new table holds for what runs.
        since = lodge.mark()
        lodge.reload(shared(postgres, mode, role={"query_time": "400ms"}, database={"query_time": "0"}, query_time="1h"))
        error = running.result(timeout=15)
        assert error.sqlstate == "57014"
        name = "roles.trusted.limits.query_time is 400ms"
        lodge.wait_for_log(name, since=since)
        if mode == "transaction":
            assert error.detail == name + "."
        lodge.reload(shared(postgres, mode, database={"idle_in_transaction": "400ms"}, idle_in_transaction="1h"))
        wire.rows("BEGIN")
        with pytest.raises(ServerError) as caught:
            wire.until(b"Z")
        assert (caught.value.sqlstate, caught.value.detail) == (
            "25P03", "databases.shared.limits.idle_in_transaction is 400ms.")
