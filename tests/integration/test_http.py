"""The front desk: metrics and health over HTTP, and that whoever attacks it disturbs neither others nor traffic."""

import contextlib
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml
from cluster import free_port
from lodge import eventually, standard_routes
from test_pooling import TRUST
from wire import ServerError

MOST_CONNECTIONS = 64


class Desk:
    """A lodge's HTTP side."""

    def __init__(self, lodge):
        host, port = lodge.settings["admin"]["http"].rsplit(":", 1)
        self.address = (host, int(port))

    def ask(self, path, method="GET", **more):
        """(status, headers, body)"""
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=15)) as connection:
            connection.request(method, path, **more)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    def raw(self, sent=b""):
        made = socket.create_connection(self.address, timeout=15)
        made.sendall(sent)
        return made

    def metrics(self):
        """By name and labels, as they stand in the text."""
        status, _, text = self.ask("/metrics")
        assert status == 200
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}

    def metric(self, name):
        return self.metrics().get(name)


def read_all(raw):
    """Until the other side closes; what came before a reset counts."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := raw.recv(65536):
            received += piece
    return received


@pytest.fixture
def open_desk(start_lodge, postgres):
    """open_desk(routes=None, **admin) -> a lodge and its desk."""
    opened = []

    def make(routes=None, **admin):
        admin = {"http": f"127.0.0.1:{free_port()}", **admin}
        lodge = start_lodge(routes or standard_routes(postgres.host), {**TRUST, "admin": admin})
        opened.append(lodge)
        return lodge, Desk(lodge)
    yield make
    for lodge in opened:
        lodge.finish()


# --- what it tells ---

def test_metrics_count_what_clients_do(open_desk):
    lodge, desk = open_desk()
    assert desk.metric('pglodge_server_connections{server="main",state="idle"}') == 0
    with lodge.login("trusted.globex", "crm") as wire:
        for _ in range(3):
            wire.rows("SELECT generate_series(1, 5)")
        with pytest.raises(ServerError):
            wire.rows("SELECT 1/0")
        eventually(lambda: desk.metric("pglodge_transactions_total") == 4, desk.metrics)
        told = desk.metrics()
        assert told['pglodge_tenant_statements_total{tenant="globex"}'] == 4
        assert told['pglodge_tenant_rows_total{tenant="globex"}'] == 15
        assert told['pglodge_tenant_errors_total{tenant="globex"}'] == 1
        assert told['pglodge_tenant_sessions{tenant="globex"}'] == 1
        assert told['pglodge_tenant_statements_total{tenant="other"}'] == 0
        assert told["pglodge_statements_total"] == 4
        assert told["pglodge_sent_bytes_total"] > 100
        assert 0 < told["pglodge_server_busy_seconds_total"] < 15
        # Before its first transaction a connection was opened for the greeting.
        assert told['pglodge_transaction_duration_seconds_bucket{le="+Inf"}'] == 5
        assert told["pglodge_transaction_duration_seconds_count"] == 5
        assert told["pglodge_query_duration_seconds_count"] == 4
        assert 0 < told["pglodge_query_duration_seconds_sum"] <= told["pglodge_transaction_duration_seconds_sum"]
        assert sum(value for name, value in told.items() if name.startswith("pglodge_sessions{")) == 1
        assert sum(value for name, value in told.items() if name.startswith("pglodge_server_connections{")) == 1
        assert told["pglodge_configured_tenants"] == 5


def test_refused_sessions_are_counted_though_nobodys_account_has_them(open_desk, postgres):
    table = standard_routes(postgres.host)
    table["tenants"]["soylent"] = {"state": "suspended"}
    table["tenants"]["acme"] |= {"limits": {"clients": 1}}
    lodge, desk = open_desk(table)
    def refused(sqlstate):
        return desk.metric('pglodge_refused_sessions_total{sqlstate="%s"}' % sqlstate)
    reasons = {"trusted.nobody": "3D000", "trusted.soylent": "57P03", "trusted.acme": "53300", "absent.globex": "28000"}
    assert [refused(sqlstate) for sqlstate in [*reasons.values(), "other"]] == [0] * 5
    with lodge.login("trusted.acme", "crm"):
        for user, sqlstate in reasons.items():
            with pytest.raises(ServerError) as caught:
                lodge.login(user, "crm")
            assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", sqlstate)
            eventually(lambda: refused(sqlstate) == 1, desk.metrics)
    with lodge.login("trusted.globex", "crm") as wire:
        with pytest.raises(ServerError):
            wire.rows("SELECT 1/0")
    errors = eventually(lambda: desk.metric('pglodge_tenant_errors_total{tenant="globex"}'), desk.metrics)
    told = desk.metrics()
    assert sum(value for name, value in told.items() if name.startswith("pglodge_refused_sessions_total")) == 4
    assert errors <= 2  # the role that is not there had been let in by the lodge


def test_who_waits_is_seen_and_counted(open_desk, postgres):
    table = standard_routes(postgres.host)
    table["servers"]["main"]["max_connections"] = 1
    lodge, desk = open_desk(table)
    with lodge.login("trusted.globex", "crm") as holder, lodge.login("trusted.globex", "crm") as waiter:
        holder.rows("BEGIN")
        done = threading.Thread(target=lambda: waiter.rows("SELECT 1"))
        done.start()
        eventually(lambda: desk.metric('pglodge_waiting_clients{server="main"}') == 1, desk.metrics)
        assert desk.metric('pglodge_server_max_connections{server="main"}') == 1
        waits = desk.metric("pglodge_wait_duration_seconds_count")
        holder.rows("COMMIT")
        done.join()
        eventually(lambda: desk.metric("pglodge_wait_duration_seconds_count") == waits + 1, desk.metrics)
        assert desk.metric("pglodge_wait_duration_seconds_sum") > 0


def test_only_so_many_tenants_are_named(open_desk):
    lodge, desk = open_desk(metrics_tenants=1)
    with lodge.login("trusted.globex", "crm") as wire:
        wire.rows("SELECT pg_sleep(0.05)")
        eventually(lambda: desk.metric('pglodge_tenant_statements_total{tenant="globex"}') == 1, desk.metrics)
    with lodge.login("trusted.soylent", "crm") as wire:
        wire.rows("SELECT 1")
        eventually(lambda: desk.metric('pglodge_tenant_statements_total{tenant="other"}') == 1, desk.metrics)
    assert 'pglodge_tenant_statements_total{tenant="soylent"}' not in desk.metrics()


def test_a_reload_changes_how_many_are_named_but_not_the_address(open_desk):
    lodge, desk = open_desk()
    with lodge.login("trusted.globex", "crm") as wire:
        wire.rows("SELECT 1")
        eventually(lambda: desk.metric('pglodge_tenant_statements_total{tenant="globex"}') == 1, desk.metrics)
    since = lodge.mark()
    changed = {**lodge.settings, "admin": {"http": f"127.0.0.1:{free_port()}", "metrics_tenants": 0}}
    lodge.config.write_text(yaml.safe_dump(changed, sort_keys=False))
    lodge.wait_for_log("a change of admin.http takes an upgrade", since=since)
    eventually(lambda: not any('tenant="globex"' in name for name in desk.metrics()), desk.metrics)


def test_a_tenants_page(open_desk):
    lodge, desk = open_desk()
    status, headers, body = desk.ask("/tenants/initech?x=1")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    page = json.loads(body)
    assert (page["tenant"], page["state"], page["clients"]) == ("initech", "active", 0)
    assert page["route"]["entry"] == "tenants.initech"
    assert page["route"]["settings"] == ["app.tenant_id"]
    assert '"42"' not in body  # the setting's value; a bare 42 may stand in the server's port
    with lodge.login("trusted.initech", "crm") as wire:
        wire.rows("SELECT 1")
        eventually(lambda: json.loads(desk.ask("/tenants/init%65ch")[2])["counts"]["transactions"] == 1, "it counts")
        assert json.loads(desk.ask("/tenants/initech")[2])["clients"] == 1
    for path in ["/tenants/nobody", "/tenants/", "/tenants/%", "/tenants/..%2f", "/tenants/a%00", "/tenants", "/"]:
        assert desk.ask(path)[0] == 404, path


def test_a_refused_reload_is_told_and_the_lodge_stays_ready(open_desk):
    lodge, desk = open_desk()
    assert desk.ask("/healthz")[::2] == (200, "ok\n")
    assert json.loads(desk.ask("/readyz")[2]) == {"ready": True, "reasons": []}
    good = desk.metrics()
    assert good["pglodge_config_last_reload_successful"] == 1
    assert abs(good["pglodge_config_last_reload_success_timestamp_seconds"] - time.time()) < 60
    assert " refused, " in lodge.reload('tenants: { "gl\\"obex": { databse: acme } }')
    status, _, body = desk.ask("/readyz")
    ready = json.loads(body)
    assert (status, ready["ready"]) == (200, True)
    assert "the configuration before it is in force" in ready["reasons"][0]
    assert any("not a tenant's id" in reason for reason in ready["reasons"][1:]), ready
    assert desk.metric("pglodge_config_last_reload_successful") == 0
    assert "reloaded (" in lodge.reload(lodge.routes)
    eventually(lambda: json.loads(desk.ask("/readyz")[2])["reasons"] == [], "all is well again")
    told = desk.metrics()
    assert (told["pglodge_config_last_reload_successful"], told["pglodge_config_version"]) == (1, 2)


def test_what_the_console_lays_over_is_told_and_mends_no_reload(open_desk, postgres):
    lodge, desk = open_desk(users=["root"])
    with lodge.login("root", "pglodge") as console:
        since = lodge.mark()
        lodge.routes_file.write_text("servers: {")
        lodge.wait_for_log(" refused, ", since=since)
        eventually(lambda: desk.metric("pglodge_config_last_reload_successful") == 0, "the failure is told")
        console.rows("SUSPEND 'globex' 'call billing'")
        eventually(lambda: json.loads(desk.ask("/tenants/globex")[2])["state"] == "suspended", "the override is told")
        assert desk.metric("pglodge_config_last_reload_successful") == 0
        assert "refused" in desk.ask("/readyz")[2]
        lodge.reload(standard_routes(postgres.host))
        eventually(lambda: desk.metric("pglodge_config_last_reload_successful") == 1, "the mended files are told")
        assert json.loads(desk.ask("/tenants/globex")[2])["state"] == "suspended"


def test_a_lodge_that_drains_lives_but_is_not_ready(open_desk):
    lodge, desk = open_desk()
    with lodge.login("trusted.globex", "crm") as wire:
        wire.rows("BEGIN")
        lodge.process.send_signal(signal.SIGTERM)
        eventually(lambda: desk.ask("/readyz")[0] == 503, "it is not ready")
        assert "leaving" in json.loads(desk.ask("/readyz")[2])["reasons"][0]
        assert desk.ask("/healthz")[0] == 200
        wire.rows("COMMIT")
    lodge.has_left()


def test_an_address_that_is_taken_ends_the_start(start_lodge, postgres, binary, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "routes.yaml").write_text(yaml.safe_dump(standard_routes(postgres.host)))
        (tmp_path / "pglodge.yaml").write_text(yaml.safe_dump({
            "listen": [{"address": f"127.0.0.1:{free_port()}"}], "routes": "routes.yaml",
            "admin": {"http": "127.0.0.1:%d" % taken.getsockname()[1]}}))
        ended = subprocess.run([binary, "serve", "-c", tmp_path / "pglodge.yaml"], capture_output=True, text=True,
                               timeout=30)
        assert ended.returncode == 1
        assert "Address already in use (it is for HTTP: admin.http)" in ended.stderr


# --- HTTP ---

@pytest.fixture(scope="module")
def desk(start_lodge, postgres):
    lodge = start_lodge(standard_routes(postgres.host), {**TRUST, "admin": {"http": f"127.0.0.1:{free_port()}"}})
    made = Desk(lodge)
    made.lodge = lodge
    return made


def test_connections_are_kept(desk):
    with contextlib.closing(http.client.HTTPConnection(*desk.address, timeout=15)) as connection:
        for path in ["/healthz", "/metrics", "/nothing", "/readyz"]:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == (404 if path == "/nothing" else 200)
            assert answer.read()
            kept = connection.sock
            assert kept is not None


def test_requests_may_come_together(desk):
    with desk.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /healthz HTTP/1.0\r\n\r\n") as raw:
        assert read_all(raw).count(b"HTTP/1.1 200 OK") == 4


def test_head_has_no_body(desk):
    status, headers, body = desk.ask("/healthz", "HEAD")
    assert (status, headers["Content-Length"], body) == (200, "3", "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"])
def test_other_methods_are_refused(desk, method):
    status, headers, _ = desk.ask("/metrics", method, body=b"x" * 100)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("sent, status", [
    (b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
    (b"GET /" + b"y" * 20_000 + b" HTTP/1.1\r\n\r\n", 431),
    (b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 5000, 431),
    (b"GET /healthz HTTP/1.1\r\nX: " + b"y" * 3_000_000, 431),
    (b"GET /healthz HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde", 413),
    (b"GET /healthz HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", 413),
    (b"GET /healthz HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET http://elsewhere/healthz HTTP/1.1\r\n\r\n", 400),
    (b"GET /healthz HTTP/9.9\r\n\r\n", 400),
    (b"GET /heal\x00thz HTTP/1.1\r\n\r\n", 400),
    (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03 TLS\r\n\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"\r\n" * 10_000, 400),
], ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None)
def test_what_is_no_request_is_refused_and_hung_up_on(desk, sent, status):
    raw = desk.raw()
    with raw:
        with contextlib.suppress(ConnectionError):
            raw.sendall(sent)
        answer = read_all(raw)
        # A flood that goes on after the answer may be reset, and the answer with it.
        if answer or len(sent) < 100_000:
            assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
            assert answer.count(b"HTTP/1.1 ") == 1
    assert desk.ask("/healthz")[0] == 200


def test_slow_requests_are_cut_off(desk):
    begun = time.monotonic()
    slow = [desk.raw(sent) for sent in [b"", b"GET /hea", b"GET /healthz HTTP/1.1\r\nX: y\r\n"]]
    with desk.raw(b"GET /healthz HTTP/1.1\r\n") as trickle, contextlib.suppress(ConnectionError):
        while time.monotonic() - begun < 10:
            trickle.sendall(b"A: b\r\n")
            time.sleep(0.2)
    assert 4 < time.monotonic() - begun < 10
    for raw in slow:
        with raw:
            assert read_all(raw) == b""
    assert time.monotonic() - begun < 10


def test_who_does_not_read_is_cut_off(desk):
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(15)
        raw.connect(desk.address)
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError, TimeoutError):
            while time.monotonic() - begun < 14:
                raw.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 100)
        assert time.monotonic() - begun < 14
    assert desk.ask("/healthz")[0] == 200


def test_a_thousand_connections_keep_nobody_out_and_traffic_going(desk):
    lodge = desk.lodge
    descriptors = lodge.descriptors()
    with lodge.login("trusted.globex", "crm") as wire, contextlib.ExitStack() as crowd:
        wire.rows("SELECT 1")
        for number in range(1000):
            crowd.enter_context(desk.raw(b"GET /metr" if number % 2 else b""))
            if number % 100 == 99:
                begun = time.monotonic()
                assert wire.value("SELECT name FROM whoami") == "globex"
                assert desk.ask("/metrics")[0] == 200
                assert time.monotonic() - begun < 3
        # Those above the limit were sent away; none of them is left in the lodge.
        eventually(lambda: lodge.descriptors() <= descriptors + MOST_CONNECTIONS + 4, lodge.links)
        assert wire.value("SELECT name FROM whoami") == "globex"


def test_a_flood_of_requests_leaves_traffic_going(desk):
    stop = threading.Event()
    asked = []

    def flood():
        with contextlib.closing(http.client.HTTPConnection(*desk.address, timeout=15)) as connection:
            while not stop.is_set():
                connection.request("GET", "/metrics")
                answer = connection.getresponse()
                answer.read()
                asked.append(answer.status)
    with desk.lodge.login("trusted.globex", "crm") as wire:
        threads = [threading.Thread(target=flood) for _ in range(4)]
        for one in threads:
            one.start()
        try:
            slowest = 0
            until = time.monotonic() + 2
            while time.monotonic() < until:
                begun = time.monotonic()
                wire.rows("SELECT 1")
                slowest = max(slowest, time.monotonic() - begun)
        finally:
            stop.set()
            for one in threads:
                one.join()
    assert set(asked) == {200} and len(asked) > 100
    assert slowest < 1


class Halted:
    """One thread of a process stands still, as a debugger makes it do (ptrace(2)); the others go on."""
    ATTACH, DETACH = 16, 17

    def __init__(self, process, name):
        """`name`: of a thread; "main" is called as the program is."""
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        named = [int(task.name) for task in tasks if (task / "comm").read_text().strip() == name]
        self.thread = process.pid if name == "main" else named[0]
        self.ptrace = ctypes.CDLL(None, use_errno=True).ptrace
        self.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

    def __enter__(self):
        if self.ptrace(self.ATTACH, self.thread, None, None) != 0:
            pytest.skip(f"no thread may be halted here: {os.strerror(ctypes.get_errno())}")
        os.waitpid(self.thread, 0x40000000)  # __WALL

    def __exit__(self, *_):
        assert self.ptrace(self.DETACH, self.thread, None, None) == 0


@pytest.mark.parametrize("name", ["worker 0", "worker 1", "main"])
def test_a_loop_that_stands_still_is_not_healthy(desk, name):
    with Halted(desk.lodge.process, name):
        eventually(lambda: desk.ask("/healthz")[0] == 503, "it is unwell", timeout=30)
        assert desk.ask("/healthz")[2].startswith("an event loop has stood still for 1")
    eventually(lambda: desk.ask("/healthz")[::2] == (200, "ok\n"), "it is well again")
