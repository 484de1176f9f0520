"""What systemd is told (sd_notify(3)), and the sockets that it passes (sd_listen_fds(3)); here the test is systemd."""

import contextlib
import os
import signal
import socket
import subprocess

import pytest
import yaml
from cluster import free_port
from lodge import BINARY, eventually, standard_routes


class Manager:
    """Receives notifications."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(20)

    def next(self, *keys):
        """The first message that has all of these assignments' names, as a dict. Others are dropped."""
        while True:
            told = dict(line.split("=", 1) for line in self.socket.recv(65536).decode().splitlines())
            if all(key in told for key in keys):
                return told


@pytest.fixture
def manager(tmp_path):
    made = Manager(tmp_path)
    with contextlib.closing(made.socket):
        yield made


def test_what_it_is_told(start_lodge, postgres, manager):
    routes = standard_routes(postgres.host)
    lodge = start_lodge(routes, environment={"NOTIFY_SOCKET": manager.path})
    ready = manager.next("READY")
    assert ready["STATUS"] == "serving; version 1 in force, 5 tenant(s)"

    lodge.process.send_signal(signal.SIGHUP)
    assert int(manager.next("RELOADING")["MONOTONIC_USEC"]) > 0
    assert manager.next("READY")["STATUS"] == "serving; version 2 in force, 5 tenant(s)"

    lodge.reload({**routes, "tenants": {"globex": {"data base": "x"}}})
    manager.next("RELOADING")
    status = manager.next("READY")["STATUS"]
    assert "reload refused, " in status and "routes.yaml:" in status and status.endswith("version 2 in force, 5 tenant(s)")

    lodge.process.send_signal(signal.SIGTERM)
    assert manager.next("STOPPING")["STATUS"] == "leaving"
    lodge.has_left()


def test_it_hears_that_the_lodge_is_alive(start_lodge, postgres, manager):
    with start_lodge(standard_routes(postgres.host), environment={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "600000"}):
        manager.next("WATCHDOG")
        manager.next("WATCHDOG")


def test_it_hears_of_a_successor(start_lodge, postgres, manager):
    with start_lodge(standard_routes(postgres.host), environment={"NOTIFY_SOCKET": manager.path}) as lodge:
        manager.next("READY")
        lodge.process.send_signal(signal.SIGUSR2)
        told = manager.next()
        successor = int(told["MAINPID"])
        assert successor != lodge.process.pid and os.path.exists(f"/proc/{successor}")
        assert "READY" in told and "WATCHDOG" in told
        # Only then the new one speaks: before that systemd would not listen to it.
        assert manager.next()["STATUS"].startswith("serving; version 1 ")
        lodge.has_left()
        os.kill(successor, signal.SIGTERM)
        eventually(lambda: not alive(successor), "the successor has left")


def alive(process_id):
    with contextlib.suppress(OSError):
        with open(f"/proc/{process_id}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def passing(*sockets):
    """Arguments of Lodge: as sd_listen_fds(3) says, from descriptor 3 on."""
    numbers = [one.fileno() for one in sockets]
    moves = "; ".join(f"exec {10 + i}<&{number}" for i, number in enumerate(numbers))
    places = "; ".join(f"exec {3 + i}<&{10 + i}" for i in range(len(numbers)))
    script = f'{moves}; {places}; LISTEN_PID=$$ LISTEN_FDS={len(numbers)} exec "$@"'
    return {"launcher": ["bash", "-c", script, "bash"], "pass_fds": numbers}


def test_it_passes_sockets(start_lodge, postgres, tmp_path):
    tcp = socket.create_server(("127.0.0.1", 0))
    http = socket.create_server(("127.0.0.1", 0))
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(tmp_path / ".s.PGSQL.6432"))
    local.listen(8)
    port = tcp.getsockname()[1]
    waiting = socket.create_connection(("127.0.0.1", port))     # before there is a lodge: it waits in the backlog
    daemon = {"listen": [{"address": f"127.0.0.1:{port}"}, {"unix": str(tmp_path)}],
              "admin": {"http": "127.0.0.1:%d" % http.getsockname()[1]}}
    with start_lodge(standard_routes(postgres.host), daemon, **passing(tcp, http, local)) as lodge:
        lodge.port = port
        waiting.close()
        with lodge.login("trusted.globex") as session:
            assert session.value("SELECT name FROM whoami") == "globex"
        with socket.create_connection(http.getsockname()) as desk:
            desk.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in desk.recv(1000)
        with socket.socket(socket.AF_UNIX) as by_file:
            by_file.connect(str(tmp_path / ".s.PGSQL.6432"))
    assert os.path.exists(tmp_path / ".s.PGSQL.6432")           # whose file it is: not the lodge's
    for one in (tcp, http, local):
        one.close()


@pytest.mark.parametrize("kind, words", [
    ("unnamed", "which neither listen nor admin.http names"),
    ("datagram", "no stream socket that listens; in a .socket unit write ListenStream="),
    ("closed", "is no socket"),
])
def test_sockets_that_make_no_sense(postgres, tmp_path, kind, words):
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(standard_routes(postgres.host)))
    (tmp_path / "pglodge.yaml").write_text(yaml.safe_dump(
        {"listen": [{"address": f"127.0.0.1:{free_port()}"}], "routes": "routes.yaml"}))
    with contextlib.ExitStack() as made:
        if kind == "unnamed":
            passed = made.enter_context(socket.create_server(("127.0.0.1", 0)))
        elif kind == "datagram":
            passed = made.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        else:
            passed = made.enter_context(open(os.devnull))
        how = passing(passed)
        ended = subprocess.run([*how["launcher"], BINARY, "serve", "-c", tmp_path / "pglodge.yaml"], capture_output=True,
                               text=True, timeout=30, pass_fds=how["pass_fds"])
    assert ended.returncode == 1
    assert words in ended.stderr
