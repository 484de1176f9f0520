"""A host name whose nameserver is silent: nobody waits for it but those who need that very name."""

import os
import signal
import socket
import subprocess
import time

import pytest
from lodge import eventually, standard_routes
from test_outages import begin

GONE = "gone.example.com"
SILENT_FOR = 30  # seconds; the resolver takes no more


class SilentNameserver:
    """What `launcher` starts asks it for names. It never answers."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self.socket.bind((address, 53))
        self.socket.settimeout(20)
        settings = folder / "resolv.conf"
        settings.write_text(f"nameserver {address}\noptions timeout:{SILENT_FOR} attempts:1\n")
        self.launcher = ["unshare", "--mount", "sh", "-c", f'mount --bind {settings} /etc/resolv.conf && exec "$@"', "sh"]

    def wait_until_asked(self):
        assert GONE.split(".")[0].encode() in self.socket.recv(512)


@pytest.fixture
def nameserver(tmp_path):
    """It takes root, who may bind port 53 and give a process a resolv.conf of its own."""
    if os.geteuid() != 0:
        pytest.skip("the lodge can be given another nameserver by root only")
    made = SilentNameserver(tmp_path)
    with made.socket:
        if subprocess.run([*made.launcher, "true"], capture_output=True).returncode != 0:
            pytest.skip("nothing may be mounted here")
        yield made


def leaves_at_once(lodge):
    """Though somebody still waits for the nameserver."""
    started = time.monotonic()
    lodge.process.send_signal(signal.SIGTERM)
    lodge.has_left()
    assert time.monotonic() - started < SILENT_FOR / 3


def test_a_name_that_hangs_holds_up_no_other_server(start_lodge, postgres, nameserver):
    table = standard_routes(f"localhost:{postgres.port}")
    table["servers"]["big"] = {"hosts": [f"{GONE}:5432"]}
    table["databases"]["acme"]["server"] = "big"
    daemon = {"auth": {"method": "trust"}, "workers": 1, "timeouts": {"connect": "2s", "query_wait": "10s", "drain": "1s"}}
    with start_lodge(table, daemon, launcher=nameserver.launcher) as lodge:
        waiting = [begin(lodge, "trusted.acme") for _ in range(3)]
        nameserver.wait_until_asked()
        for _ in range(3):
            with lodge.login("trusted.globex") as session:
                assert session.value("SELECT name FROM whoami") == "globex"
        for wire in waiting:
            wire.close()
        leaves_at_once(lodge)


def test_a_name_that_hangs_does_not_blind_the_watch(start_lodge, postgres, nameserver):
    table = standard_routes(postgres.host)
    table["servers"]["main"].update(hosts=[postgres.host, f"{GONE}:5432"], user="trusted", health_check="100ms")
    daemon = {"auth": {"method": "trust"}, "admin": {"users": ["root"]}, "timeouts": {"connect": "500ms"}}
    with start_lodge(table, daemon, launcher=nameserver.launcher) as lodge:
        nameserver.wait_until_asked()
        with lodge.login("root", "pglodge") as console:
            def hosts():
                names = ("server", "host", "port", "role", "since", "last_asked", "last_error", "last_error_time")
                return [dict(zip(names, row)) for row in console.rows("SHOW HOSTS")]
            eventually(lambda: "took too long" in (hosts()[1]["last_error"] or ""), hosts)
            for _ in range(2):
                before = hosts()[0]["last_asked"]
                eventually(lambda: hosts()[0]["last_asked"] != before, hosts)
            assert [one["role"] for one in hosts()] == ["primary", "down"]
        leaves_at_once(lodge)
