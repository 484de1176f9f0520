"""The usage ledger: what `pglodge usage` makes of it, and what serve does with a folder in any state."""

import csv
import io
import json
import signal
import subprocess

import pytest
import yaml
from lodge import eventually, standard_routes

COUNTS = ["transactions", "statements", "errors", "rows", "bytes_in", "bytes_out", "busy_us", "waiting_us", "connected_us",
          "peak_clients"]


def line(interval, to, tenant, peak=1, run="a" * 16, **counts):
    values = {**dict.fromkeys(COUNTS, 0), **counts, "peak_clients": peak}
    return json.dumps({"key": f"{run}-{interval}-{tenant}", "from": to, "to": to, "tenant": tenant, **values}) + "\n"


@pytest.fixture
def pglodge(binary, tmp_path):
    """pglodge(*arguments) -> the finished `pglodge usage -c pglodge.yaml`, with a ledger of two days beside it."""
    ledger = tmp_path / "usage"
    ledger.mkdir()
    (ledger / "usage-2026-11-24.jsonl").write_text(
        line(1, "2026-11-24T09:00:00.000Z", "acme", transactions=3, bytes_in=2048, peak=7)
        + line(1, "2026-11-24T09:00:00.000Z", "globex", transactions=1)
        + line(2, "2026-11-24T23:59:59.999Z", "acme", transactions=4, busy_us=1_500_000))
    (ledger / "usage-2026-11-25.jsonl").write_text(line(3, "2026-11-25T00:00:00.000Z", "acme", transactions=100))
    # No routing table: the bill does not wait for it.
    (tmp_path / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n"
                                           "usage: { ledger: usage }\n")

    def run(*arguments):
        return subprocess.run([binary, "usage", "-c", "pglodge.yaml", *arguments], cwd=tmp_path, capture_output=True,
                              timeout=60, check=False)
    run.folder = tmp_path
    run.ledger = ledger
    return run


def told(done):
    return done.stderr.decode()


def test_json(pglodge):
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-25", "--format", "json")
    assert (done.returncode, told(done)) == (0, "")
    acme, globex = json.loads(done.stdout)
    assert list(acme) == ["tenant", *COUNTS]
    assert (acme["tenant"], acme["transactions"], acme["bytes_in"], acme["busy_us"], acme["peak_clients"]) == \
        ("acme", 7, 2048, 1_500_000, 7)
    assert (globex["tenant"], globex["transactions"]) == ("globex", 1)


def test_csv(pglodge):
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-26", "--tenant", "acme", "--format", "csv")
    assert done.returncode == 0
    assert done.stdout.count(b"\r\n") == done.stdout.count(b"\n") == 2
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [(row["tenant"], row["transactions"]) for row in rows] == [("acme", "107")]


def test_table(pglodge):
    done = pglodge("--from", "2026-11-24T10:00+01:00", "--to", "2026-11-25")
    heading, acme, globex = done.stdout.decode().splitlines()
    assert heading.startswith("tenant  transactions  ")
    assert len(heading) == len(acme) == len(globex)
    assert "2.0 KiB" in acme and "1.5 s" in acme


def test_nobody(pglodge):
    done = pglodge("--from", "2020-01-01", "--to", "2020-02-01", "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_lines_that_do_not_count(pglodge):
    whole = pglodge("--from", "2026-11-24", "--to", "2026-11-26", "--format", "json")
    file = pglodge.ledger / "usage-2026-11-25.jsonl"
    file.write_text(file.read_text() + "nonsense\n" + line(1, "2026-11-25T01:00:00Z", "acme", transactions=3)
                    + line(4, "2026-11-25T01:00:00Z", "acme", transactions=3).rstrip())
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-26", "--format", "json")
    assert (done.returncode, done.stdout) == (0, whole.stdout)
    lines = told(done).splitlines()
    assert [one.split(": ")[0] for one in lines] == [f"{file}:{number}" for number in (2, 3, 4)]
    assert "foreign" in lines[0] and "a copy" in lines[1] and "torn" in lines[2]


@pytest.mark.parametrize("arguments, word", [
    (["--from", "2026-11-25", "--to", "2026-11-24"], "is not before"),
    (["--from", "2026-11-24", "--to", "2026-11-24"], "is not before"),
    (["--from", "yesterday", "--to", "2026-11-24"], "--from"),
    (["--from", "2026-11-24", "--to", "2026-11-31"], "--to"),
    (["--from", "2026-11-24"], "--to"),
    (["--from", "2026-11-24", "--to", "2026-11-25", "--format", "xml"], "--format"),
    (["--from", "2026-11-24", "--to", "2026-11-25", "--tenant", "no good"], "--tenant"),
])
def test_bad_usage(pglodge, arguments, word):
    done = pglodge(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert told(done).startswith("pglodge: ") and word in told(done)


def test_without_a_ledger(pglodge):
    config = pglodge.folder / "pglodge.yaml"
    config.write_text(config.read_text().replace("usage:", "# usage:"))
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-25")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "there is no usage ledger; write usage: { ledger: FOLDER }" in told(done)


def test_without_its_folder(pglodge):
    pglodge.ledger.rename(pglodge.folder / "elsewhere")
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-25")
    assert (done.returncode, done.stdout) == (1, b"")
    assert str(pglodge.ledger) in told(done) and "No such file or directory" in told(done)


def test_without_a_file_that_can_be_read(pglodge):
    (pglodge.ledger / "usage-2026-11-24.jsonl").unlink()
    (pglodge.ledger / "usage-2026-11-24.jsonl").mkdir()
    done = pglodge("--from", "2026-11-24", "--to", "2026-11-25")
    assert (done.returncode, done.stdout) == (1, b"")
    assert "Is a directory" in told(done)


def test_output_that_cannot_be_written(pglodge, binary):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([binary, "usage", "-c", "pglodge.yaml", "--from", "2026-11-24", "--to", "2026-11-25"],
                              cwd=pglodge.folder, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, told(done)) == (1, "pglodge: the sums could not be written to standard output\n")


# serve


@pytest.fixture
def serve(start_lodge, tmp_path):
    """serve() -> a running lodge whose ledger is tmp_path/usage, looked at many times a second."""
    def start():
        return start_lodge(standard_routes("127.0.0.1:1"), {"usage": {"ledger": str(tmp_path / "usage"), "interval": "20ms"}})
    start.ledger = tmp_path / "usage"
    return start


def leave(lodge):
    """Without the look at descriptors: the ledger's are opened whenever its thread gets to it."""
    lodge.process.send_signal(signal.SIGTERM)
    lodge.has_left()


def test_a_torn_line_is_cut_off_at_the_start(serve):
    serve.ledger.mkdir()
    whole = line(1, "2026-11-24T09:00:00Z", "acme")
    with serve() as lodge:
        eventually(lambda: list(serve.ledger.glob("usage-*.jsonl")), "a ledger's file")
        leave(lodge)
    (file,) = serve.ledger.glob("usage-*.jsonl")
    file.write_text(whole + whole[:50])
    with serve() as lodge:
        assert str(file) in lodge.wait_for_log("ended within a line")
        leave(lodge)
    assert file.read_text() == whole


@pytest.mark.parametrize("obstacle", ["missing", "a file"])
def test_a_folder_that_is_none_is_told_once_and_ends_nothing(serve, obstacle):
    if obstacle == "a file":
        serve.ledger.write_text("")
    with serve() as lodge:
        line = lodge.wait_for_log("usage ledger: ")
        assert " error usage ledger: cannot open " in line
        serve.ledger.unlink(missing_ok=True)
        serve.ledger.mkdir()
        lodge.wait_for_log("usage ledger: written again")
        assert lodge.log().count("usage ledger: ") == 2
        leave(lodge)


def test_check_knows_the_keys(binary, tmp_path):
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(standard_routes("db:5432")))
    (tmp_path / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n"
                                           "usage: { ledger: usage, interval: 0 }\n")
    done = subprocess.run([binary, "check", "-c", tmp_path / "pglodge.yaml"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pglodge.yaml:3:35: usage.interval: a duration of 0 makes no sense" in done.stdout + done.stderr
