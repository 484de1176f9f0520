"""resources.clients and resources.memory: the process stays within them, and who is turned away or ended is told."""

import contextlib
import socket
import threading
import time

import psycopg2
import pytest
from lodge import SANITIZED, eventually, standard_routes
from test_attacks import SYNC, answers, bind, execute, parse, pbe
from wire import Closed, columns, query

MIB = 1 << 20


def enters(lodge, user):
    with contextlib.suppress(psycopg2.OperationalError):
        lodge.connect(user).close()
        return True


def test_so_many_clients_and_no_more(start_lodge, postgres):
    daemon = {"auth": {"method": "trust"}, "admin": {"users": ["boss"]}, "resources": {"clients": 2}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, contextlib.ExitStack() as sessions:
        first, _ = (sessions.enter_context(lodge.login("trusted.globex")) for _ in range(2))
        with pytest.raises(psycopg2.OperationalError, match="sorry, too many clients already\nDETAIL:  resources.clients is 2."):
            lodge.connect("trusted.soylent")
        lodge.connect("boss", "pglodge").close()        # who looks after it is not counted
        first.close()

        eventually(lambda: enters(lodge, "trusted.soylent"), "there is room again")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory is beyond any such bound")
def test_who_holds_most_is_ended_before_the_process_is(start_lodge, postgres):
    daemon = {"auth": {"method": "trust"}, "resources": {"memory": "192MiB"}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        with lodge.login("trusted.globex") as polite, lodge.login("trusted.soylent") as greedy:
            # A statement is judged when it is there as a whole; this one never is.
            greedy.send(b"Q" + (600 * MIB).to_bytes(4, "big") + b"SELECT ")
            piece = b" " * MIB
            greedy.socket.settimeout(20)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError, Closed):
                for _ in range(500):
                    greedy.send(piece)
            line = lodge.wait_for_log("resources.memory is exceeded: session")
            assert "MiB" in line
            assert polite.value("SELECT name FROM whoami") == "globex"
            eventually(lambda: enters(lodge, "trusted.globex"), lodge.log)
        assert "terminating connection: pglodge is short of memory" in lodge.log()
        # Up to 16 MiB more may have come; where a message outgrows its room, it is there twice for a moment.
        assert lodge.memory_peak_mib() < 2 * (192 + 16)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory is beyond any such bound")
def test_who_holds_most_is_ended_and_nobody_else(start_lodge, postgres):
    """What it held is free at once, though its client is slow to leave, and the others are not taken for what is missing."""
    daemon = {"auth": {"method": "trust"}, "resources": {"memory": "128MiB"}}
    begun, whole, beyond = b"SELECT 'x" + b"x" * 14 * MIB, 18 * MIB, b" " * MIB
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, contextlib.ExitStack() as sessions:
        innocent = [sessions.enter_context(lodge.login("trusted.soylent")) for _ in range(3)]
        for one in innocent:
            one.send(b"Q" + (4 + whole).to_bytes(4, "big") + begun)
        greedy = sessions.enter_context(lodge.login("trusted.globex"))
        greedy.send(b"Q" + (600 * MIB).to_bytes(4, "big"))
        greedy.socket.settimeout(20)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError, Closed):
            for _ in range(300):
                greedy.send(beyond)
        lodge.wait_for_log("resources.memory is exceeded: session")
        for one in innocent:
            one.send(b"x" * (whole - len(begun) - 2) + b"'\0")
            assert len(one.until(b"D")[-1][1]) > 14 * MIB
            one.until(b"Z")
        assert lodge.log().count("is ended, which holds") == 1


def test_a_long_message_within_the_bound_arrives(start_lodge, postgres):
    """Memory is looked at on its way, which is to change nothing."""
    daemon = {"auth": {"method": "trust"}, "resources": {"memory": "16GiB"}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, lodge.login("trusted.globex") as session:
        for long in (40 * MIB, 16 * MIB - 8, 16 * MIB):
            session.send(query(f"SELECT length('{'x' * long}')") + query("SELECT 1"))
            assert [columns(body) for kind, body in session.until(b"Z") if kind == b"D"] == [(str(long),)]
            assert [columns(body) for kind, body in session.until(b"Z") if kind == b"D"] == [("1",)]


@pytest.mark.parametrize("step", [
    bind(name="runs") + execute(),                                   # a text that is said again for each
    query("EXECUTE large; " * 500),
], ids=["Execute", "EXECUTE"])
def test_few_bytes_that_stand_for_many_are_no_burden(start_lodge, postgres, step):
    with start_lodge(standard_routes(postgres.host), {"auth": {"method": "trust"}}) as lodge:
        with lodge.login("trusted.globex") as busy, lodge.login("trusted.soylent") as other:
            busy.send(parse(f"SELECT length('{'x' * 100_000}')", "large") + parse("EXECUTE large", "runs") + SYNC)
            assert answers(busy)[1] == []
            busy.send(step * (500 if step[:1] == b"B" else 1) + SYNC)
            assert other.value("SELECT name FROM whoami") == "soylent"
            rows, errors = answers(busy)
            assert (rows, errors) == ([("100000",)] * 500, [])
        assert SANITIZED or lodge.memory_peak_mib() < 64


# Each a pipeline whose answers wait for a statement that sleeps.
FLOODS = {
    "Parse": parse("SELECT 1") * 60_000,
    "Bind": b"".join(parse("SET work_mem = '1MB'", "s") + bind(name="s", portal=f"p{i}") for i in range(20_000)),
    "COPY and Sync": parse("COPY public.flooded FROM STDIN") + bind() + execute() + SYNC * 60_000,
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_small_messages_stops_nobody_else(start_lodge, postgres, flood):
    """What is not answered yet is bounded, and what is done for each does not grow with their number."""
    postgres.value("CREATE TABLE IF NOT EXISTS public.flooded (a int)", database="saas")
    postgres.value("GRANT ALL ON public.flooded TO PUBLIC", database="saas")
    with start_lodge(standard_routes(postgres.host), {"auth": {"method": "trust"}, "workers": 1}) as lodge:
        with lodge.login("trusted.globex") as busy, lodge.login("trusted.soylent") as other:
            other.rows("SELECT 1")
            sending = threading.Thread(target=lambda: busy.send(pbe("SELECT pg_sleep(1)") + FLOODS[flood]))
            sending.start()
            longest = 0
            until = time.monotonic() + 2
            while time.monotonic() < until:
                began = time.monotonic()
                assert other.value("SELECT name FROM whoami") == "soylent"
                longest = max(longest, time.monotonic() - began)
            assert SANITIZED or longest < 1.5
            busy.socket.shutdown(socket.SHUT_RDWR)
            sending.join(15)
            assert not sending.is_alive()


@pytest.mark.skipif(SANITIZED, reason="likewise")
def test_a_bound_that_is_too_small_for_all_lets_nobody_in_and_ends_nobody(start_lodge, postgres):
    """To end one that holds little would free little."""
    daemon = {"auth": {"method": "trust"}, "resources": {"memory": "64MiB"}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, contextlib.ExitStack() as sessions:
        each = [sessions.enter_context(lodge.login("trusted.globex")) for _ in range(130)]
        for one in each[1:]:
            one.send(b"Q" + (2 * MIB).to_bytes(4, "big") + b" " * (450 << 10))
        lodge.wait_for_log("no session holds much of it")
        with pytest.raises(psycopg2.OperationalError, match="short of memory, and takes no new sessions"):
            lodge.connect("trusted.soylent")
        assert each[0].value("SELECT name FROM whoami") == "globex"
        for one in each[1:]:
            one.close()
        lodge.wait_for_log("new sessions are let in again")
        assert "is ended" not in lodge.log()
