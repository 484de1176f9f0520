"""A tenant far beyond its queries_per_second: what it gets, and what another feels of it."""

import tempfile

import stage

RATE = 500
SECONDS = 20


def measure(_):
    with stage.cluster() as server:
        table = stage.routes(server)
        table["tenants"]["t1"] = {"limits": {"queries_per_second": RATE, "burst": 1}}
        with stage.lodge(table) as lodge:
            quiet = polite(lodge)
            greedy = stage.Load(lodge.port, 8, SECONDS, user=f"{stage.USER}.t1")
            beside = polite(lodge)
            reached, processed, failed = greedy.result()
            print(f"limit {RATE} a second: {processed / SECONDS:.1f} a second, {processed / SECONDS / RATE:.4f} of it, {failed} failed "
                  f"(pgbench, without its time to connect: {reached:.1f})")
            print(f"another tenant's p50 and p99: {quiet[0]:.2f} and {quiet[1]:.2f} ms alone, {beside[0]:.2f} and {beside[1]:.2f} ms beside it")


def polite(lodge):
    with tempfile.TemporaryDirectory() as folder:
        load = stage.Load(lodge.port, 1, SECONDS // 2, "-R", 200, user=f"{stage.USER}.t2", folder=folder)
        load.result()
        found = load.latencies()
        return stage.quantile(found, 0.5), stage.quantile(found, 0.99)
