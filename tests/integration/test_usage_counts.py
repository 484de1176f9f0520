"""What is counted is what was done: the ledger beside counts made here, and beside PostgreSQL's own."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from lodge import eventually, standard_routes
from test_attacks import SYNC, answers, bind, execute, parse, pbe
from test_pooling import TRUST, refused
from wire import query


def ledger_of(folder):
    """What the ledger says: tenant -> sums; and that no key is there twice."""
    sums, keys = {}, set()
    for file in sorted(folder.glob("usage-*.jsonl")):
        whole = file.read_text().rpartition("\n")[0]  # the last line may be under way
        for line in filter(None, whole.split("\n")):
            entry = json.loads(line)
            assert entry["key"] not in keys
            keys.add(entry["key"])
            mine = sums.setdefault(entry["tenant"], {})
            for name, value in entry.items():
                if isinstance(value, int):
                    mine[name] = max(mine.get(name, 0), value) if name == "peak_clients" else mine.get(name, 0) + value
    return sums


def metered(postgres, folder, mode):
    table = standard_routes(postgres.host, pool=mode)
    table["databases"]["shared"]["pool"] = {"size": 4}
    return table, {**TRUST, "usage": {"ledger": str(folder), "interval": "1s"}}


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_ledger_has_what_was_done(start_lodge, postgres, tmp_path, mode):
    folder = tmp_path / "usage"
    folder.mkdir()
    texts = ["SELECT generate_series(1, 7)", "BEGIN", "SELECT 1", "COMMIT", "SELECT 1; SELECT 2", "nonsense"]
    pipeline = pbe("SELECT generate_series(1, 3)") + pbe("SELECT 1") + SYNC
    with start_lodge(*metered(postgres, folder, mode)) as lodge:
        def client(number):
            with lodge.login(f"trusted.{['globex', 'soylent'][number % 2]}", "crm") as wire:
                for _ in range(20):
                    for text in texts[:-1]:
                        wire.rows(text)
                    refused(wire, texts[-1])
                    wire.send(pipeline)
                    answers(wire)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(client, range(4)))
        with lodge.login("trusted.acme", "crm"):
            pass
        # Else some are told that the lodge closes, which is an error more.
        eventually(lambda: lodge.log().count(": ends after ") == 5, "all have left")
        lodge.process.send_signal(signal.SIGTERM)
        lodge.has_left()
    sums = ledger_of(folder)
    rounds = 2 * 20  # two clients of each
    for tenant in "globex", "soylent":
        mine = sums[tenant]
        # Query messages and Executes; what ends by a ReadyForQuery outside a transaction.
        assert mine["statements"] == rounds * (len(texts) + 2)
        assert mine["transactions"] == rounds * (len(texts) - 2 + 1)
        assert mine["errors"] == rounds
        assert mine["rows"] == rounds * (7 + 1 + 2 + 3 + 1)
        assert mine["bytes_in"] == rounds * (sum(len(query(text)) for text in texts) + len(pipeline))
        assert mine["bytes_out"] > rounds * 100
        assert mine["peak_clients"] in (1, 2)
        assert mine["busy_us"] > 0 and mine["connected_us"] >= mine["busy_us"] / 2
    assert sums["acme"]["transactions"] == 0 and sums["acme"]["peak_clients"] == 1


def test_the_ledger_agrees_with_the_server(start_lodge, postgres, tmp_path):
    """Every transaction that the server committed for clients, and the lodge's own are none of theirs."""
    folder = tmp_path / "usage"
    folder.mkdir()
    postgres.value("SELECT 1")
    with start_lodge(*metered(postgres, folder, "session")) as lodge:
        def committed():
            return postgres.value("SELECT sum(xact_commit)::bigint FROM pg_stat_database WHERE datname = 'acme'")
        seen = []

        def settled():  # a backend may report what it has done a second later
            seen.append(committed())
            return len(seen) > 150 and len(set(seen[-150:])) == 1
        eventually(settled, "statistics are settled", timeout=60)
        before = seen[-1]
        with lodge.login("trusted.acme", "crm") as wire:
            for _ in range(50):
                wire.rows("SELECT 1")
            wire.send((parse("SELECT 1", "") + bind() + execute() + SYNC) * 50)
            done = 0
            while done < 50:
                wire.until(b"Z")
                done += 1
        # Its backend reports the rest as it ends; a login is a transaction or two of its own, and so is the reset behind it.
        eventually(lambda: committed() - before >= 100, "the server has counted")
        logins = committed() - before - 100
        lodge.process.send_signal(signal.SIGTERM)
        lodge.has_left()
    assert ledger_of(folder)["acme"]["transactions"] == 100
    assert 0 <= logins <= 4


def test_a_crash_costs_the_running_interval_and_counts_nothing_twice(start_lodge, postgres, tmp_path):
    folder = tmp_path / "usage"
    folder.mkdir()
    done = 0
    for _ in range(3):
        lodge = start_lodge(*metered(postgres, folder, "transaction"))
        with lodge.login("trusted.globex", "crm") as wire:
            for _ in range(20):
                wire.rows("SELECT 1")
            done += 20
            eventually(lambda: ledger_of(folder)["globex"]["transactions"] == done if ledger_of(folder) else False,
                       "the interval is written")
            for _ in range(5):  # of the running one
                wire.rows("SELECT 1")
            lodge.process.kill()
            lodge.has_left(check=False)
        written = ledger_of(folder)["globex"]["transactions"]
        assert done <= written <= done + 5
        done = written
