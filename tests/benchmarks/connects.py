"""1,000 new connections a second for a minute: errors, latency, and what is left of them."""

import tempfile

import stage
from lodge import eventually

A_SECOND = 1000
SECONDS = 60


def measure(_):
    with stage.cluster() as server, stage.lodge(stage.routes(server)) as lodge, tempfile.TemporaryDirectory() as folder:
        pid = lodge.process.pid
        stage.Load(lodge.port, 16, 1).result()  # the pool is filled
        before = stage.descriptors(pid)
        rss = stage.status(pid, "VmRSS")
        load = stage.Load(lodge.port, 8, SECONDS, "-C", "-R", A_SECOND, "-j", 2, folder=folder)
        reached, processed, failed = load.result()
        # The pool keeps its connections, or closes those that were idle for long enough.
        eventually(lambda: stage.descriptors(pid) <= before, lambda: f"{before} descriptors before, {stage.descriptors(pid)} after")
        found = load.latencies()
        print(f"{reached:.0f} connections a second, {processed} in all, {failed} failed; from connecting to the answer p50 "
              f"{stage.quantile(found, 0.5):.2f} ms, p99 {stage.quantile(found, 0.99):.2f} ms; descriptors {before} before, "
              f"{stage.descriptors(pid)} after; RSS {rss / 1024:.1f} MiB before, {stage.status(pid, 'VmRSS') / 1024:.1f} MiB after")
