"""What the log tells of a session: a line when it begins, one when it ends, and no secrets in either."""

import fcntl
import os
import re
import shutil
import threading
from contextlib import closing

import psycopg2
import pytest
from lodge import Lodge, eventually, standard_routes
from test_attacks import SYNC, answers, pbe
from test_pooling import TRUST
from wire import ServerError, query

CONSOLE = {**TRUST, "admin": {"users": ["root"]}}


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_a_session_is_a_line_at_each_end(start_lodge, postgres, mode):
    with start_lodge(standard_routes(postgres.host, pool=mode), TRUST) as lodge:
        with lodge.login("trusted.globex", "crm") as wire:
            begins = lodge.wait_for_log(": begins: ")
            assert ", tenant globex: begins: user trusted, by user \"{role}.{tenant}\" and tenants.globex, at main/shared" in begins
            wire.rows("SELECT 'row data'")
            wire.rows("SELECT 2")
        ends = lodge.wait_for_log(": ends after ")
        found = re.search(r"ends after (\d+\.\d{3}) s, (\d+) transactions, (\d+) bytes in, (\d+) out: the client left", ends)
        assert found and int(found[2]) == 2
        assert int(found[3]) == len(query("SELECT 'row data'") + query("SELECT 2"))
        assert int(found[4]) > 60  # the rows, and more
        assert "row data" not in lodge.log()


def test_why_a_session_ended_stands_in_its_line(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        with lodge.login("trusted.globex", "crm"):
            moved = standard_routes(postgres.host)
            moved["tenants"]["globex"] = {"state": "suspended", "message": "call billing"}
            lodge.reload(moved)
            with pytest.raises(ServerError) as caught:
                lodge.login("trusted.globex", "crm")
            assert caught.value.sqlstate == "57P03"
        eventually(lambda: "FATAL 57P03: call billing" in lodge.log(), "the refusal is told")


def test_who_says_nothing_leaves_no_line(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        for _ in range(3):
            lodge.wire().close()
        with lodge.login("trusted.globex", "crm"):
            lodge.wait_for_log(": begins: ")
        assert len(re.findall("session [0-9]+ from", lodge.log())) <= 2


# --- slow statements ---

@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_slow_statements_are_told_without_their_values(start_lodge, postgres, mode):
    table = standard_routes(postgres.host, pool=mode)
    table["tenants"]["globex"]["limits"] = {"log_min_duration_statement": "100ms"}
    with start_lodge(table, TRUST) as lodge, lodge.login("trusted.globex", "crm") as wire:
        wire.rows("SELECT 'quick secret'")
        wire.rows("SELECT pg_sleep(0.2), 'secret' -- secret")
        line = lodge.wait_for_log("duration: ")
        assert ", tenant globex: duration: " in line
        assert line.endswith("ms  statement: SELECT pg_sleep(?), ?\n")
        assert 200 <= float(re.search(r"duration: ([0-9.]+) ms", line)[1]) < 10_000
        since = lodge.mark()
        wire.send(pbe("SELECT pg_sleep(0.2), $1::text", "secret parameter") + SYNC)
        assert answers(wire)[1] == []
        assert "statement: SELECT pg_sleep(?), $1::text\n" in lodge.wait_for_log("duration: ", since=since)
        with lodge.login("trusted.soylent", "crm") as other:  # it has no such limit
            other.rows("SELECT pg_sleep(0.2)")
        assert lodge.log().count("duration: ") == 2

        # A change holds for sessions that are there.
        lodge.reload(standard_routes(postgres.host, pool=mode))
        wire.rows("SELECT 1")
        wire.rows("SELECT pg_sleep(0.2)")
        assert lodge.log().count("duration: ") == 2
        assert "secret" not in lodge.log()


# --- how much, and in which form ---

def test_what_a_client_can_repeat_is_written_once(start_lodge, postgres):
    table = standard_routes(postgres.host)
    table["tenants"]["globex"]["role"] = "nobody_there"
    with start_lodge(table, TRUST) as lodge:
        for number in range(5):  # each with a state of its own: of the same, a server is not asked again at once
            with pytest.raises(ServerError):
                lodge.login("trusted.globex", "crm", application_name=f"number {number}")
        lodge.finish()
        lines = [line for line in lodge.log().splitlines() if "could not be dressed" in line]
        assert len(lines) == 2
        assert re.search(r"warning 4 more like it in the last [0-9]+ s: session [0-9]+ from ", lines[1])


def test_the_journal_gets_priorities_and_no_times(binary, postgres, monkeypatch, request):
    assert binary
    lodge = Lodge(standard_routes(postgres.host), TRUST)
    request.addfinalizer(lambda: shutil.rmtree(lodge.folder, ignore_errors=True))
    lodge.log_file.touch()
    found = lodge.log_file.stat()
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    with lodge.start():
        assert lodge.reload("nonsense: 1").startswith("<3>")
    assert all(re.match(r"<[34567]>\S", line) for line in lodge.log().splitlines()), lodge.log()
    assert "\n<6>pglodge " in "\n" + lodge.log()


def test_a_tenant_may_have_a_level_of_its_own(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), CONSOLE) as lodge, closing(lodge.connect("root", "pglodge")) as console:
        cursor = console.cursor()

        def begins(tenant):
            since = lodge.mark()
            with lodge.login(f"trusted.{tenant}", "crm") as wire:
                wire.rows("SELECT 1")
            return f"tenant {tenant}: begins" in lodge.log(since)
        cursor.execute("SET log_level = warn")
        eventually(lambda: not begins("globex"), "little is logged")
        cursor.execute("SET log_level = debug FOR TENANT 'globex'")
        eventually(lambda: begins("globex"), "but of this one more is")
        assert not begins("soylent")
        cursor.execute("RESET log_level; SET log_level = error FOR TENANT 'soylent'")
        eventually(lambda: not begins("soylent"), "of this one less is")
        lodge.reload({**standard_routes(postgres.host), "unknown_tenants": "default"})
        assert begins("globex") and not begins("soylent")
        cursor.execute("SHOW TENANT 'soylent'")
        assert ("log_level", "error, by the console") in cursor.fetchall()
        cursor.execute("RESET log_level FOR TENANT 'soylent'")
        eventually(lambda: begins("soylent"), "it is taken back")
        for wrong in ("SET log_level = loud FOR TENANT 'globex'", "SET log_level = info FOR TENANT 'a;b'",
                      "SET log_level = info FOR"):
            with pytest.raises(psycopg2.Error):
                cursor.execute(wrong)


class SlowReader:
    """Reads what a lodge writes to its standard error, a pipe of one page, into its log file, unless it is told not to."""

    def __init__(self, folder):
        self.pipe = folder / "stderr"
        os.mkfifo(self.pipe)
        self.descriptor = os.open(self.pipe, os.O_RDWR)
        fcntl.fcntl(self.descriptor, fcntl.F_SETPIPE_SZ, 4096)
        self.launcher = ["sh", "-c", f'exec "$@" 2>{self.pipe}', "sh"]
        self.reads = threading.Event()
        self.reads.set()
        self.log_file = None

    def start(self, log_file):
        self.log_file = log_file
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while piece := os.read(self.descriptor, 4096):
            with open(self.log_file, "ab") as log:
                log.write(piece)
            self.reads.wait()


def test_a_log_that_nobody_reads_stops_nobody(postgres, tmp_path):
    reader = SlowReader(tmp_path)
    lodge = Lodge(standard_routes(postgres.host), TRUST, launcher=reader.launcher)
    reader.start(lodge.log_file)
    with lodge.start():
        with lodge.login("trusted.globex", "crm") as wire:
            reader.reads.clear()
            for _ in range(100):
                with lodge.login("trusted.globex", "crm") as other:
                    assert other.value("SELECT name FROM whoami") == "globex"
            assert wire.value("SELECT name FROM whoami") == "globex"
            told = lodge.mark()
            reader.reads.set()
            lodge.wait_for_log(" line(s) of this log are lost", since=told)
