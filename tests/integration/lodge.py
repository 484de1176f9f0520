"""A running lodge: its two files, its process, its log, and what must hold when it ends."""

import copy
import ctypes
import os
import re
import resource
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2
import yaml

from cluster import free_port
from wire import Wire, cancel_request

ROOT = Path(__file__).resolve().parents[2]
def has_io_uring():
    """Whether io_uring_setup (call 425) gives a ring, of one entry, as it is."""
    ring = ctypes.CDLL(None).syscall(425, 1, ctypes.create_string_buffer(120))
    if ring >= 0:
        os.close(ring)
    return ring >= 0


# How all lodges receive and send, where a test does not say it; io_uring as far as the kernel offers it.
IO_METHOD = os.environ.get("PGLODGE_IO_METHOD")
if IO_METHOD == "io_uring" and not has_io_uring():
    IO_METHOD = None

BINARY = Path(os.environ.get("PGLODGE_BINARY", ROOT / "build/release/proxy/pglodge"))
SANITIZED = bool(os.environ.get("PGLODGE_SANITIZED"))

REPORTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:")
CRITICAL = re.compile(r"^\S+ critical ", re.MULTILINE)


def standard_routes(host, pool=None):
    """The table most tests start from. Change the copy as you like. `pool`: "session" for servers that only pretend to be
    PostgreSQL, and could not be dressed."""
    table = copy.deepcopy({
        "hints": [{"startup": "app.tenant"}, {"user": "{role}.{tenant}"}, {"database": "{dbname}@{tenant}"}],
        "servers": {"main": {"hosts": [host]}},
        "databases": {
            "shared": {"server": "main", "dbname": "saas"},
            "acme": {"server": "main", "dbname": "acme"},
            "dedicated": {"server": "main", "dbname": "crm_{tenant}"},
        },
        "defaults": {"database": "shared", "schema": "tenant_{tenant}"},
        "tenants": {
            "globex": {},
            "soylent": {},
            "acme": {"database": "acme", "schema": None},
            "umbrella": {"database": "dedicated", "schema": None},
            "initech": {"schema": None, "search_path": ["public"], "settings": {"app.tenant_id": "42"}},
        },
    })
    if pool:
        table["defaults"]["pool"] = pool
    return table


def eventually(condition, what, timeout=15):
    """Looks until condition() is true and returns what it gave."""
    until = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"not within {timeout} s: {what() if callable(what) else what}"
        time.sleep(0.02)


class Lodge:
    def __init__(self, routes, daemon=None, folders=None, launcher=(), environment=None, pass_fds=()):
        """`launcher`: a command in front of the lodge's own; with `environment` and `pass_fds` what a service manager does."""
        self.launcher, self.environment, self.pass_fds = launcher, environment or {}, pass_fds
        self.folder = Path(tempfile.mkdtemp(prefix="pglodge-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.config = self.folder / "pglodge.yaml"
        self.routes_file = self.folder / "routes.yaml"
        self.log_file = self.folder / "log"
        self.settings = {
            "listen": [{"address": f"127.0.0.1:{self.port}"}, {"unix": str(self.folder)}],
            "routes": "routes.yaml",
            "workers": 2,
            "auth": {"method": "passthrough"},
            "log": {"level": "debug"},
            **(daemon or {}),
        }
        if IO_METHOD:
            self.settings.setdefault("io_method", IO_METHOD)
        # What is left of a pool counts against nobody who looks for lost descriptors.
        self.settings["timeouts"] = {"server_idle": "500ms", **self.settings.get("timeouts", {})}
        self.routes = routes
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
        for name, files in (folders or {}).items():
            (self.folder / name).mkdir()
            for file, content in files.items():
                (self.folder / name / file).write_text(yaml.safe_dump(content, sort_keys=False))
        self.write_routes(routes)
        self.process = None
        self.finished = False

    # Its life.

    def start(self):
        # What was saved in the very moment it is read is read once more, and that reload would be taken for another.
        eventually(lambda: time.time() - self.routes_file.stat().st_ctime > 0.1, "the files are a moment old")
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([*self.launcher, BINARY, "serve", "-c", self.config], stderr=log, stdout=log,
                                            cwd="/", env={**os.environ, **self.environment}, pass_fds=self.pass_fds)
        self.wait_for_log(" serves on ")
        self.be_seen_running()
        self.descriptors_before = self.descriptors()
        return self

    def be_seen_running(self):
        """A cancel request of nobody is answered by closing: then every loop runs, with all the descriptors it keeps."""
        host, port = self.settings["listen"][0]["address"].rsplit(":", 1)
        with Wire((host.strip("[]"), int(port))) as probe:
            probe.send(cancel_request(1, b"none"))
            probe.expect_closed()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.finish(check=kind is None)

    def finish(self, check=True):
        """Ends it, unless it has ended, and looks whether all was well."""
        if self.finished or self.process is None:
            return
        if check and self.alive():
            eventually(lambda: self.descriptors() <= self.descriptors_before,
                       lambda: f"descriptors {self.descriptors_before} -> {self.descriptors()}: {self.links()}")
        if self.alive():
            self.process.send_signal(signal.SIGINT)
        self.has_left(check)

    def has_left(self, check=True):
        """Waits for its end, and looks for reports, defects and the right exit code."""
        self.finished = True
        try:
            code = self.process.wait(timeout=30)
        finally:
            if self.alive():
                self.process.kill()
                self.process.wait()
        if check:
            log = self.log()
            assert not REPORTS.search(log), log[-20000:]
            assert not CRITICAL.search(log), log[-3000:]
            assert code == 0, f"exit code {code}\n{log[-3000:]}"
            assert "pglodge has left" in log

    def alive(self):
        return self.process.poll() is None

    # Its log.

    def log(self, since=0):
        with open(self.log_file, "rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def mark(self):
        """Where the log is now, for `since`."""
        return self.log_file.stat().st_size

    def wait_for_log(self, *words, since=0, timeout=15):
        """The first whole line after `since` that holds one of these words."""
        def look():
            assert self.alive() or self.finished, f"the lodge is gone:\n{self.log()[-3000:]}"
            for line in self.log(since).splitlines(keepends=True):
                if line.endswith("\n") and any(word in line for word in words):
                    return line
            return None
        return eventually(look, lambda: f"{words} in the log:\n{self.log(since)[-3000:]}", timeout)

    # Its table.

    def write_routes(self, routes):
        """By rename, so that no half of it is ever there. Text goes in as it is."""
        text = routes if isinstance(routes, str) else yaml.safe_dump(routes, sort_keys=False)
        new = self.folder / ".routes.new"
        new.write_text(text)
        new.rename(self.routes_file)

    def reload(self, routes):
        """Writes the table and waits for the verdict: the log's line of it."""
        since = self.mark()
        self.write_routes(routes)
        line = self.wait_for_log("reloaded (", " refused, ", since=since)
        if "reloaded (" in line:
            self.routes = routes
        return line

    # Ways in.

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    @property
    def unix_path(self):
        return str(self.folder / ".s.PGSQL.6432")

    def wire(self, timeout=15):
        return Wire(self.address, timeout)

    def login(self, user, database="crm", **more):
        """By the raw client, for roles that the server trusts."""
        wire = self.wire()
        try:
            return wire.login(user, database, **more)
        except BaseException:
            wire.close()
            raise

    def connect(self, user="trusted.globex", dbname="crm", **more):
        """By psycopg2, in autocommit."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=user, dbname=dbname, connect_timeout=15,
                                      **more)
        connection.autocommit = True
        return connection

    # What it uses.

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def links(self):
        folder = f"/proc/{self.process.pid}/fd"
        found = []
        for name in os.listdir(folder):
            try:
                found.append(os.readlink(f"{folder}/{name}"))
            except FileNotFoundError:
                pass
        return sorted(found)

    def memory_peak_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024

    def memory_kib(self):
        """Resident now, what it shares with nobody."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"Pss:\s+(\d+) kB", rollup).group(1))

    def leave_descriptors(self, count):
        """Lowers its limit so that it can open only so many more."""
        used = {int(name) for name in os.listdir(f"/proc/{self.process.pid}/fd")}
        free = [number for number in range(max(used) + count + 2) if number not in used]
        hard = resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (free[count], hard))
