"""10,000 idle sessions, alone and beside 200 busy ones, through the lodge and through PgBouncer: memory, CPU and latency."""

import contextlib
import tempfile
import time

import stage
from lodge import eventually
from wire import Wire

IDLE = 10_000
BUSY = 200
A_SECOND = 4000
SECONDS = 10
QUIET = 20


def measure(_):
    with stage.cluster() as server, stage.lodge(stage.routes(server)) as lodge, stage.pgbouncer(server) as other:
        measure_one("pglodge", lodge.port, lodge.process.pid)
        if other:
            eventually(lambda: answers(other[0]), "PgBouncer answers")
            measure_one("PgBouncer", *other)
        else:
            print("no PgBouncer here")


def answers(port):
    try:
        with Wire(("127.0.0.1", port)) as wire:
            return wire.login(stage.USER, "acme").value("SELECT 1")
    except OSError:
        return None


def rests(pid):
    """Waits until nothing is done any more about what they said last."""
    def used_in_a_moment():
        before = stage.cpu_seconds(pid)
        time.sleep(0.5)
        return stage.cpu_seconds(pid) - before
    eventually(lambda: used_in_a_moment() < 0.01, "it rests")


def measure_one(name, port, pid):
    run(port)
    without = run(port)
    before = stage.status(pid, "VmRSS")
    with contextlib.ExitStack() as held:
        for _ in range(IDLE):
            wire = held.enter_context(Wire(("127.0.0.1", port)))
            wire.login(stage.USER, "acme").value("SELECT 1")
        after = stage.status(pid, "VmRSS")
        rests(pid)
        quiet = stage.cpu_seconds(pid)
        time.sleep(QUIET)
        quiet = (stage.cpu_seconds(pid) - quiet) / QUIET
        used = stage.cpu_seconds(pid)
        beside = run(port)
        used = stage.cpu_seconds(pid) - used
    print(f"{name:>10}: RSS {before / 1024:.1f} -> {after / 1024:.1f} MiB with {IDLE} idle sessions, {(after - before) / IDLE:.2f} KiB each, and {1000 * quiet:.1f} ms of CPU a second while nobody says anything; "
          f"{BUSY} busy ones at {beside[0]:.0f} tps: p99 {without[1]:.2f} ms without the idle ones, {beside[1]:.2f} ms with them; "
          f"CPU {1e6 * used / beside[2]:.1f} us a transaction", flush=True)


def run(port):
    with tempfile.TemporaryDirectory() as folder:
        load = stage.Load(port, BUSY, SECONDS, "-R", A_SECOND, "-j", 2, folder=folder)
        reached, processed, _ = load.result()
        return reached, stage.quantile(load.latencies(), 0.99), processed
