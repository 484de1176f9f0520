"""Cancel requests: they reach the right server while their session lives, and nothing else."""

import threading

import psycopg2
import psycopg2.errors
import pytest
from fake_server import FakeServer, trusting
from lodge import eventually, standard_routes
from wire import V3_2, Closed, ServerError, Wire, cancel_request, query

ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active' AND wait_event = 'PgSleep'"


def send_cancel(lodge, process_id, secret, unix=False):
    """Returns when the lodge is done with it, as PQcancel does."""
    with Wire(lodge.unix_path if unix else lodge.address) as wire:
        wire.send(cancel_request(process_id, secret))
        with pytest.raises(Closed):
            wire.read()


def asleep(postgres, process_id):
    return postgres.value(ASLEEP, process_id) == 1


def test_by_driver(lodge, postgres):
    connection = lodge.connect("trusted.globex")
    seen = []

    def run():
        try:
            connection.cursor().execute("SELECT pg_sleep(60)")
        except psycopg2.Error as error:
            seen.append(error)
    thread = threading.Thread(target=run)
    thread.start()
    eventually(lambda: asleep(postgres, connection.info.backend_pid), "it sleeps")
    connection.cancel()
    thread.join(timeout=15)
    assert isinstance(seen[0], psycopg2.errors.QueryCanceled)
    cursor = connection.cursor()
    cursor.execute("SELECT name FROM whoami")
    assert cursor.fetchone() == ("globex",)
    connection.close()


def test_the_process_id_is_the_servers_own(lodge, postgres):
    with lodge.login("trusted.acme") as session:
        assert str(session.process_id) == session.value("SELECT pg_backend_pid()")
        session.send(query("SELECT pg_sleep(60)"))
        eventually(lambda: asleep(postgres, session.process_id), "it sleeps")
        assert postgres.value("SELECT pg_cancel_backend(%s)", session.process_id)
        with pytest.raises(ServerError) as caught:
            session.until(b"Z")
        assert caught.value.sqlstate == "57014"


@pytest.mark.parametrize("version, length", [(3 << 16, 4), (V3_2, 32)])
@pytest.mark.parametrize("unix", [False, True])
def test_by_hand(lodge, postgres, version, length, unix):
    with lodge.login("trusted.globex", version=version) as session, lodge.login("trusted.globex") as neighbour:
        assert len(session.secret) == length
        neighbour.send(query("SELECT pg_sleep(60)"))
        session.send(query("SELECT pg_sleep(60)"))
        for one in (session, neighbour):
            eventually(lambda: asleep(postgres, one.process_id), "it sleeps")
        wrong = bytes([session.secret[0] ^ 1]) + session.secret[1:]
        for process_id, secret in ((session.process_id, wrong), (session.process_id, session.secret[:-1] + b"\0\0"),
                                   (session.process_id, neighbour.secret), (1, session.secret)):
            if (process_id, secret) != (session.process_id, session.secret):
                send_cancel(lodge, process_id, secret, unix)
        assert asleep(postgres, session.process_id)
        send_cancel(lodge, session.process_id, session.secret, unix)
        with pytest.raises(ServerError) as caught:
            session.until(b"Z")
        assert caught.value.sqlstate == "57014"
        assert asleep(postgres, neighbour.process_id)
        send_cancel(lodge, neighbour.process_id, neighbour.secret)
        neighbour.until(b"E")


def test_secrets_are_the_lodges_own_and_never_the_same(lodge):
    secrets = set()
    for _ in range(20):
        with lodge.login("trusted.globex", version=V3_2) as session:
            secrets.add(session.secret)
    assert len(secrets) == 20


def test_what_the_server_gets_to_see(start_lodge):
    """Its own key, only from the right one of ours, and only while the session lives."""
    with FakeServer(trusting(key=b"\0\0\0\x2aABCD")) as server, \
            start_lodge(standard_routes(server.host, pool="session"), {"auth": {"method": "trust"}}) as lodge:
        with lodge.login("anybody.globex") as session:
            assert session.process_id == 42
            assert session.secret != b"ABCD"
            send_cancel(lodge, 42, b"ABCD")
            assert server.cancels == []
            send_cancel(lodge, 42, session.secret)
            server.wait(lambda s: s.cancels == [b"\0\0\0\x2aABCD"])
        eventually(lambda: lodge.descriptors() <= lodge.descriptors_before, "the session has ended")
        send_cancel(lodge, 42, session.secret)
        assert server.cancels == [b"\0\0\0\x2aABCD"]


def test_two_servers_with_the_same_process_id(start_lodge):
    with FakeServer(trusting(key=b"\0\0\0\x2aAAAA")) as first, FakeServer(trusting(key=b"\0\0\0\x2aBBBB")) as second:
        table = standard_routes(first.host, pool="session")
        table["servers"]["big"] = {"hosts": [second.host]}
        table["databases"]["acme"]["server"] = "big"
        with start_lodge(table, {"auth": {"method": "trust"}}) as lodge, \
                lodge.login("anybody.globex"), lodge.login("anybody.acme") as moved:
            send_cancel(lodge, 42, moved.secret)
            second.wait(lambda s: s.cancels == [b"\0\0\0\x2aBBBB"])
            assert first.cancels == []
