"""Sessions of one transaction, four at a time, under session pooling: directly, through the lodge and through PgBouncer."""

import contextlib
from pathlib import Path

import stage

CLIENTS = 4
SECONDS = 6
ROUNDS = 2


def measure(_):
    with stage.cluster() as server, stage.lodge(stage.routes(server, "session", 50)) as lodge, \
            stage.pgbouncer(server, 50, mode="session") as other:
        ways = {"directly": (server.port, None), "pglodge": (lodge.port, lodge.process.pid)}
        if other:
            ways["PgBouncer"] = other
        for _ in range(ROUNDS):
            for name, (port, pid) in ways.items():
                print(f"{name:>10}: {measure_one(server, port, pid)}", flush=True)


def measure_one(server, port, pid):
    used, at_server = stage.cpu_seconds(pid) if pid else 0, of_server(server)
    reached, processed, failed = stage.Load(port, CLIENTS, SECONDS, "-C").result()
    used, at_server = (stage.cpu_seconds(pid) if pid else 0) - used, of_server(server) - at_server
    return (f"{reached:.0f} sessions a second, {failed} failed; {1e6 * used / processed:.0f} us of CPU each, and "
            f"{1e6 * at_server / processed:.0f} at PostgreSQL")


def of_server(server):
    """Seconds of CPU of PostgreSQL's processes, those that have ended included."""
    main = server.postmaster()
    fields = Path(f"/proc/{main}/stat").read_text().rsplit(")", 1)[1].split()
    seconds = sum(int(ticks) for ticks in fields[11:15]) / stage.TICKS
    for child in server.children(main):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            seconds += stage.cpu_seconds(child)
    return seconds
