"""Servers that are down, slow, broken or standby: hosts are tried in order, and the client is told about each."""

import time

import pytest
from fake_server import (FakeServer, close_at_once, close_in_the_middle, endless_greeting, garbage, refusing_host, says,
                         silent, trusting)
from lodge import SANITIZED, standard_routes
from wire import ServerError, startup


def daemon(**more):
    return {"auth": {"method": "trust"}, "timeouts": {"connect": "500ms", "query_wait": "1s", **more}}


def table_for(*hosts):
    table = standard_routes("nowhere", pool="session")
    table["servers"]["main"]["hosts"] = list(hosts)
    return table


def refused(lodge, user="anybody.globex"):
    with pytest.raises(ServerError) as caught:
        lodge.login(user).close()
    assert caught.value.severity == "FATAL"
    return caught.value


@pytest.mark.parametrize("handler", [silent, close_at_once, close_in_the_middle, garbage, endless_greeting])
def test_a_server_of_no_use(start_lodge, handler):
    with FakeServer(handler) as bad, start_lodge(table_for(bad.host), daemon()) as lodge:
        started = time.monotonic()
        error = refused(lodge)
        assert error.sqlstate == "08001"
        assert "main" in error.message
        assert bad.host in error.detail
        assert time.monotonic() - started < (30 if SANITIZED else 5)
        assert SANITIZED or lodge.memory_peak_mib() < 32


def test_nobody_listens(start_lodge):
    host = refusing_host()
    with start_lodge(table_for(host), daemon()) as lodge:
        error = refused(lodge)
        assert error.sqlstate == "08001"
        assert host in error.detail
        assert "refused" in error.detail


def test_a_name_that_nobody_has(start_lodge):
    with start_lodge(table_for("no-such-host.invalid"), daemon()) as lodge:
        error = refused(lodge)
        assert error.sqlstate == "08001"
        assert "no-such-host.invalid" in error.detail


def test_no_socket_there(start_lodge, tmp_path):
    with start_lodge(table_for(str(tmp_path)), daemon()) as lodge:
        assert refused(lodge).sqlstate == "08001"


def test_hosts_in_order_until_one_serves(start_lodge, postgres):
    with FakeServer(silent) as mute, FakeServer(close_at_once) as rude, FakeServer(says(S="FATAL", V="FATAL", C="57P03",
                                                                           M="the database system is starting up")) as waking:
        table = table_for(refusing_host(), mute.host, rude.host, waking.host, postgres.host)
        with start_lodge(table, daemon()) as lodge:
            with lodge.login("trusted.globex") as session:
                assert session.value("SELECT name FROM whoami") == "globex"
            assert (mute.connections, rude.connections, waking.connections) == (1, 1, 1)


def test_all_down_tells_of_each(start_lodge):
    refusing = refusing_host()
    with FakeServer(silent) as mute, FakeServer(garbage) as odd, \
            start_lodge(table_for(refusing, mute.host, odd.host), daemon()) as lodge:
        error = refused(lodge)
        assert error.sqlstate == "08001"
        for host in (refusing, mute.host, odd.host):
            assert host in error.detail


def test_a_standby_is_passed_by(start_lodge):
    with FakeServer(trusting(standby=True)) as standby, FakeServer(trusting()) as primary, \
            start_lodge(table_for(standby.host, primary.host), daemon()) as lodge:
        lodge.login("anybody.globex").close()
        primary.wait(lambda s: s.connections == 1)
        lodge.login("anybody.globex").close()  # it is remembered who is what
        assert (standby.connections, primary.connections) == (1, 2)


def test_the_console_shows_what_each_host_was(start_lodge, postgres):
    dead = refusing_host()
    with FakeServer(trusting(standby=True)) as standby:
        table = table_for(dead, standby.host, postgres.host)
        table["servers"]["other"] = {"hosts": ["nobody.asks:5433"]}
        settings = {**daemon(), "admin": {"users": ["root"]}}
        with start_lodge(table, settings) as lodge, lodge.login("root", "pglodge") as console:
            assert {row[3] for row in console.rows("SHOW HOSTS")} == {"unknown"}
            lodge.login("trusted.globex").close()
            rows = console.rows("SHOW HOSTS")
            assert [(row[0], f"{row[1]}:{row[2]}", row[3]) for row in rows] == [
                ("main", dead, "down"), ("main", standby.host, "standby"), ("main", postgres.host, "primary"),
                ("other", "nobody.asks:5433", "unknown")]
            assert "refused" in rows[0][6] and rows[0][7].endswith("UTC")
            assert [row[6] for row in rows[1:]] == [None] * 3
            assert all(row[4] and row[5] for row in rows[:3])
            assert rows[3][4:] == (None,) * 4


def test_only_standbys(start_lodge):
    with FakeServer(trusting(standby=True)) as standby, start_lodge(table_for(standby.host), daemon()) as lodge:
        error = refused(lodge)
        assert error.sqlstate in ("08001", "57P03")
        assert "standby" in error.message + error.detail


def test_a_refusal_for_good_is_not_tried_elsewhere(start_lodge):
    """A wrong role is wrong everywhere: the server's own words, from the first host that spoke."""
    words = {"S": "FATAL", "V": "FATAL", "C": "28000", "M": "role \"anybody\" is not permitted to log in"}
    with FakeServer(says(**words)) as strict, FakeServer(trusting()) as other, \
            start_lodge(table_for(strict.host, other.host), daemon()) as lodge:
        assert refused(lodge).fields == words
        assert other.connections == 0


def test_an_error_without_a_code(start_lodge):
    with FakeServer(says(S="FATAL", M="too old to know of codes")) as old, \
            start_lodge(table_for(old.host), daemon()) as lodge:
        with lodge.wire() as wire, pytest.raises(ServerError) as caught:
            wire.login("anybody.globex", "crm")
        assert "too old to know of codes" in caught.value.message + caught.value.detail


def test_an_error_without_anything(start_lodge):
    with FakeServer(says()) as odd, start_lodge(table_for(odd.host), daemon()) as lodge:
        with lodge.wire() as wire, pytest.raises(ServerError):
            wire.login("anybody.globex", "crm")


def test_a_server_without_a_cancel_key(start_lodge):
    with FakeServer(trusting(key=b"")) as bad, start_lodge(table_for(bad.host), daemon()) as lodge:
        assert refused(lodge).sqlstate == "08001"


def test_a_client_that_leaves_while_a_server_is_waited_for(start_lodge):
    with FakeServer(silent) as mute, start_lodge(table_for(mute.host), daemon(connect="60s")) as lodge:
        with lodge.wire() as wire:
            wire.send(startup({"user": "anybody.globex", "database": "crm"}))
            mute.wait(lambda s: s.open == 1)
        mute.wait(lambda s: s.open == 0)
