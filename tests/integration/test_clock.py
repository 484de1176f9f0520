"""The wall clock is set, by an hour and by a day, forth and back, while sessions run: whatever lasts is measured by
another clock, and only what is labelled follows it.

Debian's libfaketime stands between the lodge and that one clock; the servers, and what the test measures, have the real
one.
"""

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from cluster import PASSWORD
from lodge import SANITIZED, eventually, standard_routes
from test_auth_query import KEPT, SQL
from test_pooling import refused

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIMIT = 4  # seconds: of all that is to end by itself
LATE = 10  # seconds more, for a loaded machine; far less than any jump

pytestmark = [
    pytest.mark.skipif(SANITIZED, reason="a sanitizer must be the first library, and so must libfaketime"),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed"),
]


class WallClock:
    """The lodge's, which is ahead of the real one by so much."""

    def __init__(self, file):
        self.file = file
        self.set(timedelta(0))

    def set(self, ahead):
        new = self.file.with_suffix(".new")
        new.write_text(f"{ahead.total_seconds():+.0f}\n")
        new.rename(self.file)

    @property
    def environment(self):
        return {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}


@pytest.fixture
def roles(postgres):
    """By the server's clock one has just expired, and the other will within the hour."""
    for role, until in {"clock_expired": "-1 minute", "clock_later": "30 minutes"}.items():
        when = postgres.value(f"SELECT now() + interval '{until}'")
        postgres.value(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '{when}'")
        postgres.value(f"GRANT tenant_globex TO {role}")
    yield
    for role in "clock_expired", "clock_later":
        postgres.value(f"DROP ROLE {role}")


@pytest.fixture
def jumping(start_lodge, postgres, roles, tmp_path):
    """A lodge with a limit of each kind, and with its wall clock."""
    clock = WallClock(tmp_path / "ahead")
    (tmp_path / "usage").mkdir()
    table = standard_routes(postgres.host)
    tenants = table["tenants"]
    tenants["soylent"]["limits"] = {"connections": 1, "wait": f"{LIMIT}s"}
    tenants["globex"]["limits"] = {"query_time": f"{LIMIT}s"}
    tenants["initech"]["limits"] = {"idle_in_transaction": f"{LIMIT}s"}
    tenants["acme"]["limits"] = {"queries_per_second": 10, "burst": 1}
    daemon = {
        "auth": {"method": "trust", "rules": [{"role": role, "method": "scram-sha-256"} for role in
                                              ("clock_expired", "clock_later")],
                 "query": {"database": "shared", "user": "postgres", "sql": SQL}},
        "timeouts": {"idle": f"{LIMIT}s"},
        "usage": {"ledger": str(tmp_path / "usage"), "interval": "100ms"},
        "log": {"level": "info"},
    }
    with start_lodge(table, daemon, environment=clock.environment) as lodge:
        lodge.descriptors_before += KEPT + 2  # of the ledger; of the file that libfaketime reads all the time
        lodge.clock, lodge.ledger = clock, tmp_path / "usage"
        yield lodge


def jump(lodge, ahead):
    """Sets the lodge's clock and waits until that shows in its log."""
    since = lodge.mark()
    lodge.clock.set(ahead)
    eventually(lambda: abs(label_of(lodge, since) - datetime.now(UTC) - ahead) < timedelta(minutes=5), "the clock is set")


def label_of(lodge, since):
    lodge.login("trusted.umbrella", "crm").close()
    line = lodge.wait_for_log(": begins: ", since=since)
    return datetime.fromisoformat(re.match(r"\S+", line).group().replace("Z", "+00:00"))


def timed(what):
    begun = time.monotonic()
    told = what()
    return time.monotonic() - begun, told


def test_no_wait_limit_or_rate_follows_a_wall_clock_that_is_set(jumping):
    lodge = jumping
    with ExitStack() as open_now, ThreadPoolExecutor(8) as pool:
        def login(tenant):
            return open_now.enter_context(lodge.login(f"trusted.{tenant}", "crm"))

        def begins(tenant):
            wire = login(tenant)
            wire.rows("BEGIN")
            return wire

        def many(wire):
            for _ in range(10 * LIMIT + 1):
                wire.rows("SELECT 1")

        held, idle, waiting, running = begins("soylent"), login("umbrella"), login("soylent"), login("globex")
        aborted, paced = begins("initech"), login("acme")
        expected = {
            "timeouts.idle": ("57P05", pool.submit(timed, idle.refusal)),
            "idle_in_transaction": ("25P03", pool.submit(timed, aborted.refusal)),
            "wait": ("53400", pool.submit(timed, lambda: refused(waiting, "SELECT 1"))),
            "query_time": ("57014", pool.submit(timed, lambda: refused(running, "SELECT pg_sleep(60)"))),
        }
        rate = pool.submit(timed, lambda: many(paced))
        round_trip = [DAY, -DAY, HOUR, -HOUR, timedelta(0)]
        while not (rate.done() and all(one.done() for _, one in expected.values())):
            for ahead in round_trip:
                jump(lodge, ahead)
        for name, (sqlstate, ended) in expected.items():
            took, error = ended.result()
            assert error.sqlstate == sqlstate, name
            assert LIMIT - 0.5 < took < LIMIT + LATE, name
        assert LIMIT - 0.5 < rate.result()[0] < LIMIT + LATE
        assert held.rows("SELECT 1") == [("1",)]


def test_the_server_says_when_a_role_expires(jumping):
    for ahead in DAY, -DAY, timedelta(0):
        jump(jumping, ahead)
        psycopg2.connect(host=str(jumping.folder), port=6432, user="clock_later", dbname="crm@globex",
                         password=PASSWORD).close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(host=str(jumping.folder), port=6432, user="clock_expired", dbname="crm@globex",
                             password=PASSWORD)


def test_the_usage_ledger_loses_and_doubles_nothing(jumping, binary):
    lodge, done = jumping, 0
    begun = time.monotonic()
    with lodge.login("trusted.globex", "crm") as wire:
        for _ in range(2):
            for ahead in DAY, -DAY, HOUR, timedelta(0):
                jump(lodge, ahead)
                wire.rows("SELECT 1")
                done += 1
                eventually(lambda: statements(lodge) == done, lambda: f"{statements(lodge)} of {done} statements")
    lasted = time.monotonic() - begun
    lines = entries(lodge)
    assert len({entry["key"] for entry in lines}) == len(lines)
    assert all(before["from"] <= before["to"] <= after["to"] for before, after in zip(lines, lines[1:], strict=False))
    assert sum(entry["connected_us"] for entry in lines if entry["tenant"] == "globex") < 1e6 * lasted
    lodge.wait_for_log("intervals are labelled with that end until the clock has passed it")
    told = subprocess.run([binary, "usage", "-c", lodge.config, "--from", "2000-01-01", "--to", "2100-01-01",
                           "--tenant", "globex", "--format", "json"], capture_output=True, text=True, check=True)
    assert (json.loads(told.stdout)[0]["statements"], told.stderr) == (done, "")


def entries(lodge):
    """In the order in which they were written: a day's file is begun when the one before has ended."""
    files = sorted(lodge.ledger.glob("usage-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().rpartition("\n")[0].splitlines()]


def statements(lodge):
    return sum(entry["statements"] for entry in entries(lodge) if entry["tenant"] == "globex")
