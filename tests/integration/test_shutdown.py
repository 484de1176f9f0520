"""SIGTERM lets the busy finish, SIGINT lets nobody, a second signal waits for nothing. Each with exit code 0."""

import signal

import pytest
from lodge import eventually, standard_routes
from wire import Closed, query


@pytest.fixture
def lodge(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host)) as lodge:
        yield lodge


def send_signal(lodge, number, words):
    since = lodge.mark()
    lodge.process.send_signal(number)
    lodge.wait_for_log(words, since=since)


def test_nobody_there(lodge):
    lodge.process.send_signal(signal.SIGTERM)
    lodge.has_left()


def test_sigterm_drains(lodge):
    idle, busy, within = (lodge.login("trusted.globex") for _ in range(3))
    busy.send(query("SELECT name FROM whoami, pg_sleep(1)"))
    within.rows("BEGIN")
    send_signal(lodge, signal.SIGTERM, "draining")
    error = idle.refusal()
    assert (error.severity, error.sqlstate) == ("FATAL", "57P01")
    with pytest.raises(ConnectionRefusedError):
        lodge.wire()
    assert [kind for kind, _ in busy.until(b"Z")] == [b"T", b"D", b"C", b"Z"]
    assert busy.refusal().sqlstate == "57P01"
    assert lodge.alive()
    assert within.value("SELECT name FROM whoami") == "globex"
    within.send(query("COMMIT"))
    within.until(b"Z")
    assert within.refusal().sqlstate == "57P01"
    lodge.has_left()


@pytest.mark.parametrize("method", ["passthrough", "trust"])     # a connection of its own; a shared one
def test_draining_has_its_limit(start_lodge, postgres, method):
    daemon = {"auth": {"method": method}, "timeouts": {"drain": "500ms"}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        within = lodge.login("trusted.globex")
        within.rows("BEGIN")
        lodge.process.send_signal(signal.SIGTERM)
        assert within.refusal().sqlstate == "57P01"
        lodge.has_left()


def test_a_running_statement_can_be_cancelled_while_draining(lodge, postgres):
    """pg_cancel_backend does it, since the doors are closed."""
    busy = lodge.login("trusted.globex")
    busy.send(query("SELECT pg_sleep(60)"))
    eventually(lambda: postgres.value("SELECT state FROM pg_stat_activity WHERE pid = %s", busy.process_id) == "active",
               "it runs")
    send_signal(lodge, signal.SIGTERM, "draining")
    postgres.value("SELECT pg_cancel_backend(%s)", busy.process_id)
    busy.until(b"E")
    busy.until(b"Z")
    assert busy.refusal().sqlstate == "57P01"
    lodge.has_left()


def test_sigint_closes(lodge, postgres):
    idle, within = lodge.login("trusted.globex"), lodge.login("trusted.globex")
    within.rows("BEGIN")
    send_signal(lodge, signal.SIGINT, "closing")
    for session in (idle, within):
        assert session.refusal().sqlstate == "57P01"
    lodge.has_left()


def test_a_second_signal_leaves_at_once(lodge):
    within = lodge.login("trusted.globex")
    within.rows("BEGIN")
    send_signal(lodge, signal.SIGTERM, "draining")
    lodge.process.send_signal(signal.SIGTERM)
    lodge.has_left()
    with pytest.raises((Closed, ConnectionResetError)):
        within.read()


def test_the_unix_socket_goes_with_it(lodge):
    assert (lodge.folder / ".s.PGSQL.6432").is_socket()
    lodge.process.send_signal(signal.SIGTERM)
    lodge.has_left()
    assert not (lodge.folder / ".s.PGSQL.6432").exists()
