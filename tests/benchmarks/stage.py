"""What every measurement stands on: a throwaway PostgreSQL with pgbench's tables, a lodge in front, load, and looks at a process."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from cluster import BIN, Cluster, free_port  # noqa: E402
from lodge import Lodge  # noqa: E402

USER = "postgres"
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def cluster():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    made = Cluster()
    try:
        made.start()
        subprocess.run([BIN / "pgbench", "-h", made.folder, "-p", str(made.port), "-U", USER, "-iq", "-s", "1", "acme"], check=True,
                       capture_output=True)
        yield made
    finally:
        made.stop()


def routes(server, mode="transaction", size=16, **more):
    """Tenants t1, t2, ... in one database; who names none is routed there, too."""
    place = {"server": "main", "dbname": "acme", "pool": {"mode": mode, "size": size}}
    return {
        "hints": [{"user": "{role}.{tenant}"}],
        "servers": {"main": {"hosts": [server.host], "user": USER}},
        "databases": {"acme": place},
        "defaults": {"database": "acme", "role": USER, "guard": False},
        "tenants": {f"t{i}": {} for i in range(1, 9)},
        "no_tenant": {"action": "route", "route": {"database": "acme"}},
        **more,
    }


@contextlib.contextmanager
def lodge(table, **settings):
    # Tests let go of idle server connections soon. Who is measured keeps them, as it does by default.
    made = Lodge(table, {"workers": 1, "auth": {"method": "trust"}, "log": {"level": "info"}, "timeouts": {"server_idle": "10m"}, **settings})
    try:
        made.start()
        yield made
        made.finish(check=False)
    finally:
        if made.process and made.alive():
            made.process.kill()
        shutil.rmtree(made.folder, ignore_errors=True)


class Load:
    """pgbench -S against a port, in the background."""

    def __init__(self, port, clients, seconds, *flags, user=USER, folder=None):
        self.folder = folder
        self.logs = ["-l", "--log-prefix", f"{folder}/pgbench"] if folder else []
        command = [BIN / "pgbench", "-h", "127.0.0.1", "-p", port, "-U", user, "-n", "-S", "-c", clients, "-T", seconds, *self.logs,
                   *flags, "acme"]
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self):
        """Transactions a second, how many were processed, and how many failed."""
        said, _ = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(said)

        def number(words):
            return float(re.search(words + r"[^\d]*([\d.]+)", said).group(1))
        return number("tps ="), int(number("actually processed:")), int(number("failed transactions:"))

    def latencies(self):
        """Milliseconds, in order, of the logged transactions."""
        found = [int(line.split()[2]) / 1000 for file in Path(self.folder).glob("pgbench.*") for line in file.read_text().splitlines()]
        return sorted(found)


def quantile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


def status(pid, key):
    """A value of /proc/PID/status, KiB for those in memory."""
    return int(re.search(rf"^{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def pgbouncer(server, size=16, users=None, mode="transaction"):
    """Gives (port, pid), or nothing where PgBouncer is not installed. With a file of `users` they have to log in, by SCRAM."""
    program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        yield None
        return
    port = free_port()
    folder = server.folder / "pgbouncer"
    folder.mkdir()
    file = folder / "pgbouncer.ini"
    (folder / "users.txt").write_text(users.read_text() if users else f'"{USER}" ""\n')
    file.write_text(f"""[databases]
acme = host=127.0.0.1 port={server.port} dbname=acme user={USER} pool_size={size}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {'scram-sha-256' if users else 'trust'}
auth_file = {folder}/users.txt
pool_mode = {mode}
max_client_conn = 20000
logfile = {folder}/log
""")
    as_user = []
    if os.geteuid() == 0:  # which PgBouncer refuses to be
        as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
        shutil.chown(folder, "postgres")
    process = subprocess.Popen([*as_user, program, "-q", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()
