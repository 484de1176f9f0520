"""SCRAM logins, eight at a time, through the lodge and through PgBouncer: how long they take, and what the others feel of them."""

import os
import subprocess
import tempfile
import time

import stage
from lodge import eventually

LOGINS = 1000
AT_A_TIME = 8
A_SECOND = 1000
SECONDS = 10
ROUNDS = 3
SECRET = "swordfish"


def measure(_):
    os.environ["PGPASSWORD"] = SECRET  # pgbench's
    with stage.cluster() as server:
        server.value(f"ALTER ROLE {stage.USER} PASSWORD '{SECRET}'")
        stored = server.value("SELECT rolpassword FROM pg_authid WHERE rolname = %s", stage.USER)
        users = server.folder / "users.txt"
        users.write_text(f'"{stage.USER}" "{stored}"\n')
        users.chmod(0o600)
        auth = {"method": "scram-sha-256", "users": str(users)}
        with stage.lodge(stage.routes(server), auth=auth) as lodge, stage.pgbouncer(server, users=users) as other:
            ways = {"pglodge": (lodge.port, lodge.process.pid)}
            if other:
                ways["PgBouncer"] = other
                eventually(lambda: log_in(other[0], 1).wait() == 0, "PgBouncer answers")
            for _ in range(ROUNDS):
                for name, (port, pid) in ways.items():
                    print(f"{name:>10}: {measure_one(port, pid)}", flush=True)


def log_in(port, each):
    """A login, and a statement, for each. Who logs in works as hard as whoever lets them in: it stands back, so that it is not what is measured."""
    command = ["chrt", "--idle", 0, stage.BIN / "pgbench", "-h", "127.0.0.1", "-p", port, "-U", stage.USER, "-n", "-S", "-C", "-c", AT_A_TIME,
               "-j", AT_A_TIME, "-t", each, "acme"]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure_one(port, pid):
    alone = others(port)
    with tempfile.TemporaryDirectory() as folder:
        load = stage.Load(port, 4, SECONDS, "-R", A_SECOND, folder=folder)
        times, used = [], stage.cpu_seconds(pid)
        while load.process.poll() is None:
            began = time.monotonic()
            failed = log_in(port, LOGINS // AT_A_TIME).wait()
            times.append(time.monotonic() - began)
            if failed:
                return "logins failed"
        used = stage.cpu_seconds(pid) - used
        load.result()
        found = load.latencies()
    beside = stage.quantile(found, 0.99)
    return (f"{LOGINS} logins in {min(times):.2f} to {max(times):.2f} s, {1e6 * used / (len(times) * LOGINS + len(found)):.0f} us of CPU each, "
            f"with what the others cost; the others' p50 and p99 {alone[0]:.2f} and {alone[1]:.2f} ms, beside them "
            f"{stage.quantile(found, 0.5):.2f} and {beside:.2f} ms: p99 {beside / alone[1]:.2f} times")


def others(port):
    with tempfile.TemporaryDirectory() as folder:
        load = stage.Load(port, 4, SECONDS // 2, "-R", A_SECOND, folder=folder)
        load.result()
        found = load.latencies()
        return stage.quantile(found, 0.5), stage.quantile(found, 0.99)
