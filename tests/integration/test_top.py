"""pglodge top: what it shows, once and live, and what it says of what it cannot do."""

import os
import pty
import re
import struct
import subprocess
import termios
import threading
from contextlib import contextmanager
from fcntl import ioctl

import pytest
from cluster import free_port
from lodge import eventually, standard_routes

DAEMON = {"auth": {"method": "trust"}, "admin": {"users": ["root"]}}


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    return start_lodge(standard_routes(postgres.host), DAEMON)


def top(lodge, *arguments):
    return subprocess.run([lodge_binary(lodge), "top", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, check=False)


def lodge_binary(lodge):
    return lodge.process.args[0]


def url(lodge, user="root", dbname="pglodge", port=None):
    return f"postgres://{user}@127.0.0.1:{port or lodge.port}/{dbname}"


@contextmanager
def traffic(lodge):
    stop = threading.Event()

    def work():
        with lodge.login("trusted.globex", "crm") as wire:
            while not stop.is_set():
                wire.rows("SELECT pg_sleep(0.005)")
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(15)


def test_once_is_a_table(lodge):
    with traffic(lodge):
        done = top(lodge, "-c", str(lodge.config), "--once", "--interval", "500ms")
    assert (done.returncode, done.stderr) == (0, "")
    summary, heads, *rows = done.stdout.splitlines()
    assert re.match(r"5 tenants, 1 clients, 0 waiting, [0-9.]+ tx/s, [0-9.]+ servers busy; by busy$", summary)
    assert heads.split() == ["tenant", "clients", "active", "waiting", "tx/s", "st/s", "err/s", "ms/tx", "wait/tx", "p99",
                             "servers", "KiB/s", "state", "place"]
    busiest = dict(zip(heads.split(), rows[0].split()))
    assert (busiest["tenant"], busiest["clients"], busiest["state"]) == ("globex", "1", "active")
    assert float(busiest["tx/s"]) > 0 and float(busiest["ms/tx"]) >= 5 and 5 <= float(busiest["p99"]) < 5000
    everybody = top(lodge, "--url", url(lodge), "--once", "--interval", "100ms", "--all", "--sort", "tenant")
    assert [line.split()[0] for line in everybody.stdout.splitlines()[2:]] == ["umbrella", "soylent", "initech", "globex", "acme"][::-1]


def test_what_cannot_be_shown_is_said(lodge):
    def fails(code, words, *arguments):
        done = top(lodge, *arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert words in done.stderr and done.stderr.startswith("pglodge: "), done.stderr
    fails(1, "Connection refused", "--once", "--url", url(lodge, port=free_port()))
    fails(1, "is not the console of a lodge", "--once", "--url", url(lodge, "trusted.globex", "crm"))
    fails(1, "nobody", "--once", "--url", url(lodge, "nobody"))
    fails(2, "--once prints one table", "--url", url(lodge))
    fails(2, "--sort: ", "--once", "--url", url(lodge), "--sort", "size")
    fails(2, "--interval: ", "--once", "--url", url(lodge), "--interval", "1")
    fails(2, "at least 100ms", "--once", "--url", url(lodge), "--interval", "1ms")
    missing = top(lodge, "-c", "/nowhere/pglodge.yaml", "--once")
    assert missing.returncode == 1 and "/nowhere/pglodge.yaml" in missing.stderr


class Terminal:
    """The program on a terminal of so many lines and columns."""

    def __init__(self, lodge, lines, columns):
        self.master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.process = subprocess.Popen([lodge_binary(lodge), "top", "--url", url(lodge), "--interval", "100ms"], stdin=slave,
                                        stdout=slave, stderr=slave)
        self.shown = ""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while piece := os.read(self.master, 65536):
            self.shown += piece.decode(errors="replace")

    def keys(self, text):
        os.write(self.master, text.encode())

    def ends(self):
        return self.process.wait(15)


def test_live_view_follows_keys_and_leaves_the_terminal_as_it_was(lodge):
    seen = Terminal(lodge, 20, 120)
    with traffic(lodge):
        eventually(lambda: "globex" in seen.shown, lambda: seen.shown)
        seen.keys("n")
        eventually(lambda: "by tenant" in seen.shown, lambda: seen.shown)
        seen.keys("ri")
        eventually(lambda: "by tenant, turned" in seen.shown and "umbrella" in seen.shown, lambda: seen.shown)
        assert termios.tcgetattr(seen.slave) != seen.before
        seen.keys("q")
        assert seen.ends() == 0
    assert termios.tcgetattr(seen.slave) == seen.before
    eventually(lambda: seen.shown.endswith("\x1b[?25h\x1b[?1049l"), lambda: seen.shown[-100:])


def test_live_view_ends_with_the_lodge_and_needs_room(start_lodge, postgres, lodge):
    small = Terminal(lodge, 4, 120)
    assert small.ends() == 2
    eventually(lambda: "too small: 60 columns and 6 lines" in small.shown, lambda: small.shown)
    with start_lodge(standard_routes(postgres.host), DAEMON) as other:
        seen = Terminal(other, 20, 120)
        eventually(lambda: "5 tenants" in seen.shown, lambda: seen.shown)
        other.finish(check=False)
    assert seen.ends() == 1
    assert termios.tcgetattr(seen.slave) == seen.before
    eventually(lambda: "pglodge: " in seen.shown.split("\x1b[?1049l")[-1], lambda: seen.shown[-300:])
