"""Many sessions, many connects, and no descriptor left: each Lodge counts them once more when it ends."""

import contextlib
import resource

import pytest
from fake_server import FakeServer, trusting
from lodge import SANITIZED, eventually, standard_routes
from wire import ServerError, startup

NO_DESCRIPTOR_FOR_UBSAN = pytest.mark.skipif(
    SANITIZED, reason="UBSan looks at objects through a pipe of its own, for which none is left")

TRUST = {"auth": {"method": "trust"}}


@pytest.mark.slow
def test_two_thousand_idle_sessions(start_lodge, many_descriptors):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 8192:
        pytest.skip("the limit of open files is too low for it")
    with FakeServer(trusting()) as server, start_lodge(standard_routes(server.host, pool="session"), TRUST) as lodge:
        before = lodge.memory_peak_mib()
        sessions = []
        for _ in range(2000):
            wire = lodge.wire()
            wire.send(startup({"user": "anybody.globex", "database": "crm"}))
            sessions.append(wire)
        for wire in sessions:
            wire.until(b"Z")
        server.wait(lambda s: s.open == 2000)
        if not SANITIZED:
            assert (lodge.memory_peak_mib() - before) * 1024 / 2000 < 16  # KiB each, coroutine and all
        for wire in sessions[::100]:
            assert wire.rows("SELECT 1") == []
        for wire in sessions:
            wire.close()
        server.wait(lambda s: s.open == 0)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer's own memory is beyond any such bound")
def test_what_an_idle_pooled_session_costs(start_lodge, postgres, many_descriptors):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 8192:
        pytest.skip("the limit of open files is too low for it")
    routes = standard_routes(postgres.host)
    routes["databases"]["shared"]["pool"] = {"size": 4}
    with start_lodge(routes, TRUST) as lodge, contextlib.ExitStack() as sessions:
        def come(count):
            for _ in range(count):
                assert sessions.enter_context(lodge.login("trusted.globex")).value("SELECT name FROM whoami") == "globex"
        come(50)                    # what is there once for all of them
        before = lodge.memory_kib()
        come(2000)
        assert (lodge.memory_kib() - before) / 2000 < 4.5     # KiB each, coroutine and all


def test_many_connects(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host)) as lodge:
        for i in range(200):
            wire = lodge.login("trusted.globex")
            if i % 3 == 0:
                wire.reset()
            else:
                if i % 3 == 1:
                    wire.send(b"X\0\0\0\4")
                wire.close()
        eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'trusted'") == 0,
                   "no session is left at the server")


def test_many_refusals(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host)) as lodge:
        for _ in range(200):
            with pytest.raises(ServerError):
                lodge.login("trusted.nobody")


@NO_DESCRIPTOR_FOR_UBSAN
def test_out_of_descriptors(start_lodge, postgres):
    """Those who are in stay, those who come wait, and as soon as somebody leaves they get in."""
    with start_lodge(standard_routes(postgres.host)) as lodge:
        inside = [lodge.login("trusted.globex") for _ in range(4)]
        lodge.leave_descriptors(0)
        since = lodge.mark()
        waiting = lodge.wire()
        waiting.send(startup({"user": "trusted.soylent", "database": "crm"}))
        lodge.wait_for_log("cannot accept", since=since)
        for session in inside:
            assert session.value("SELECT name FROM whoami") == "globex"
        assert lodge.log(since).count("cannot accept") < 20
        for session in inside:
            session.close()
        waiting.until(b"Z")
        assert waiting.value("SELECT name FROM whoami") == "soylent"
        waiting.close()


@NO_DESCRIPTOR_FOR_UBSAN
def test_no_descriptor_for_the_server(start_lodge, postgres):
    """One is left, for the client: its session is refused in words, and the lodge lives on."""
    with start_lodge(standard_routes(postgres.host)) as lodge:
        lodge.leave_descriptors(1)
        with pytest.raises(ServerError) as caught:
            lodge.login("trusted.globex")
        assert caught.value.sqlstate == "08001"
        lodge.leave_descriptors(100)
        with lodge.login("trusted.globex") as session:
            assert session.value("SELECT name FROM whoami") == "globex"
