"""A fixed conversation with a fault at each of its places, between lodge and server and between client and lodge.

Whatever happens, what the client was sent is the beginning of what it would have been sent without the fault, with an
error after it at most; nothing is done twice; and what is left is a lodge in order: nobody has a lease, nobody waits, and
the next one is where it belongs.
"""

import itertools
import os
import re
import resource
import signal
import threading
import time
from pathlib import Path

import pytest
from faulty_relay import DOWN, UP, FaultyRelay, Plan
from lodge import SANITIZED, Lodge, eventually, standard_routes
from wire import Closed, ServerError, Wire, columns, fields_of, message, query, startup

SETTINGS = {"auth": {"method": "trust"}, "admin": {"users": ["boss"]}, "timeouts": {"connect": "10s"}}


RUNS = itertools.count(1)


def extended(sql, *parameters, name=b""):
    """Parse, Bind, Describe, Execute, Sync."""
    values = b"".join(len(p).to_bytes(4, "big") + p for p in parameters)
    count = len(parameters).to_bytes(2, "big")
    return (message(b"P", name + b"\0" + sql.encode() + b"\0\0\0")
            + message(b"B", b"\0" + name + b"\0" + b"\0\0" + count + values + b"\0\0")
            + message(b"D", b"P\0") + message(b"E", b"\0\0\0\0\0") + message(b"S"))


def conversation(run):
    """What the client says; before each it waits for ReadyForQuery, or for CopyInResponse."""
    return [
        query("SELECT name FROM whoami"),
        extended("SELECT $1::int + 1", b"41", name=b"plus"),
        query("SET statement_timeout = '1min'"),
        query("BEGIN"),
        query(f"INSERT INTO public.faults VALUES ('{run}')"),
        query("SELECT name FROM whoami"),
        query("COMMIT"),
        query("COPY (SELECT generate_series(1, 3)) TO STDOUT"),
        query("COPY public.copied FROM STDIN"),
        message(b"d", b"a line\n") + message(b"d", b"another\n") + message(b"c"),
        query("SELECT 1/0"),
        query("SHOW statement_timeout"),
    ]


class Heard:
    """What a client was sent after its greeting, up to the end of the conversation or of the connection."""

    def __init__(self):
        self.messages = []
        self.fatal = None
        self.committed = False
        self.complete = False


def talk(address, user, run):
    heard = Heard()
    try:
        with Wire(address) as wire:
            wire.send(startup({"user": user, "database": "crm"}))
            listen(wire, heard, greeting=True)
            for part in conversation(run):
                wire.send(part)
                listen(wire, heard)
            wire.send(message(b"X"))
            heard.complete = True
    except (Closed, ConnectionError):
        pass
    return heard


def listen(wire, heard, greeting=False):
    while True:
        kind, body = wire.read()
        if kind == b"E" and fields_of(body)["S"] == "FATAL":
            heard.fatal = ServerError(body)
            raise Closed("as it said")
        if not greeting and kind != b"N":
            heard.messages.append((kind, body))
        if kind == b"C" and body == b"COMMIT\0":
            heard.committed = True
        if kind in (b"Z", b"G"):
            return


@pytest.fixture(scope="module")
def tables(postgres):
    connection = postgres.connect("saas")
    cursor = connection.cursor()
    for table in ("faults", "copied"):
        cursor.execute(f"CREATE TABLE public.{table} (run text); GRANT ALL ON public.{table} TO PUBLIC")
    yield cursor
    for table in ("faults", "copied"):
        cursor.execute(f"DROP TABLE public.{table}")
    connection.close()


def table_for(host):
    table = standard_routes(host)
    table["servers"]["main"].update(tls={"mode": "disable"}, max_connections=3)
    return table


def of_lists(console, item):
    return dict(console.rows("SHOW LISTS"))[item]


class Place:
    """A lodge with a relay on one side, and what must hold after each fault."""

    def __init__(self, lodge, relay, cursor, before_lodge):
        self.lodge, self.relay, self.cursor = lodge, relay, cursor
        self.address = ("127.0.0.1", relay.port) if before_lodge else lodge.address
        self.before_lodge = before_lodge
        self.console = lodge.login("boss", "pglodge")
        self.expected = None
        self.counts = None

    def measure(self):
        """Without a fault: what is heard, and how many messages pass."""
        self.fresh()
        self.relay.count()
        heard = self.run(None)
        assert heard.complete, heard.fatal
        self.expected = heard.messages
        self.counts = dict(self.relay.counts)
        assert self.counts[UP] >= 10 and self.counts[DOWN] >= 20

    def fresh(self):
        self.console.rows("RECONNECT")

    def run(self, plan):
        run = f"run {next(RUNS)}"
        self.relay.arm(plan)
        heard = talk(self.address, "trusted.globex", run)
        self.relay.disarm()
        if self.expected is not None:
            assert heard.messages == self.expected[:len(heard.messages)], (plan and vars(plan))
        self.check(run, heard)
        return heard

    def check(self, run, heard):
        eventually(lambda: self.count_of("cl_active") + self.count_of("cl_waiting") + self.count_of("sv_active") == 0,
                   lambda: self.console.rows("SHOW POOLS"))
        eventually(lambda: of_lists(self.console, "used_clients") == "1", lambda: self.console.rows("SHOW CLIENTS"))
        self.cursor.execute("SELECT count(*) FROM public.faults WHERE run = %s", (run,))
        done = self.cursor.fetchone()[0]
        assert done == 1 if heard.committed else done <= 1
        with Wire(self.lodge.address) as other:
            other.login("trusted.soylent", "crm")
            assert other.rows("SELECT name, current_setting('statement_timeout') FROM whoami") == [("soylent", "0")]

    def count_of(self, column):
        """Over all pools but the console's own."""
        wire = self.console
        wire.send(query("SHOW POOLS"))
        rows, names = [], None
        while True:
            kind, body = wire.read()
            if kind == b"T":
                names = [part.split(b"\0")[0].decode() for part in split_columns(body)]
            elif kind == b"D":
                rows.append(columns(body))
            elif kind == b"Z":
                break
        at = names.index(column)
        return sum(int(row[at]) for row in rows if row[names.index("database")] != "pglodge")


def split_columns(body):
    """The fields of a RowDescription, from their names on."""
    at = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.index(b"\0", at)
        yield body[at:end + 1]
        at = end + 1 + 18


@pytest.fixture(params=["server", "client"])
def place(request, start_lodge, postgres, tables):
    if request.param == "server":
        with FaultyRelay(postgres.port) as relay, start_lodge(table_for(relay.host), SETTINGS) as lodge:
            made = Place(lodge, relay, tables, before_lodge=False)
            yield made
            made.console.close()
    else:
        with start_lodge(table_for(postgres.host), SETTINGS) as lodge, FaultyRelay(lodge.port) as relay:
            made = Place(lodge, relay, tables, before_lodge=True)
            yield made
            made.console.close()


def resident_mib(lodge):
    status = Path(f"/proc/{lodge.process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) / 1024


@pytest.mark.parametrize("half", [False, True])
def test_a_cut_at_every_message(place, half):
    place.measure()
    memory = resident_mib(place.lodge)
    for direction in (UP, DOWN):
        for after in range(place.counts[direction]):
            if not place.before_lodge:
                place.fresh()
            # Half of the time politely, to which others belong than to a reset.
            plan = Plan(direction, after, half, "close" if after % 2 else "reset")
            heard = place.run(plan)
            assert plan.fired or heard.complete, vars(plan)
            if not place.before_lodge and not heard.complete:
                assert heard.fatal is None or heard.fatal.sqlstate in ("08006", "XX000"), heard.fatal
    if not SANITIZED:
        assert resident_mib(place.lodge) < memory + 8


def test_byte_by_byte(place):
    place.measure()
    place.relay.bytewise = True
    place.fresh()
    assert place.run(None).messages == place.expected


def test_slowly(place):
    place.measure()
    place.relay.delay = 0.01
    place.fresh()
    assert place.run(None).messages == place.expected


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_stall_holds_up_nobody_else(place, direction):
    """In the middle of a message, for as long as it takes another to come and go, and then it goes on."""
    place.measure()
    place.fresh()
    plan = place.relay.arm(Plan(direction, place.counts[direction] // 2, half=True, what="stall"))
    heard, run = [], f"run {next(RUNS)}"
    slow = threading.Thread(target=lambda: heard.append(talk(place.address, "trusted.globex", run)))
    slow.start()
    eventually(lambda: plan.fired, "it stalls")
    with Wire(place.lodge.address) as other:
        other.login("trusted.soylent", "crm")
        assert other.value("SELECT name FROM whoami") == "soylent"
    place.relay.go_on()
    slow.join()
    assert heard[0].messages == place.expected
    place.relay.disarm()
    place.check(run, heard[0])


def test_a_client_that_stops_reading(start_lodge, postgres, tables):
    """200 MB wait at the server, not in the lodge; when the client is gone, so is its lease."""
    with start_lodge(table_for(postgres.host), SETTINGS) as lodge:
        place = Place(lodge, None, tables, before_lodge=False)
        before = resident_mib(lodge)
        full = lodge.login("trusted.globex")
        full.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 200000)"))
        eventually(lambda: place.count_of("cl_active") == 1, "it runs")
        eventually(lambda: postgres.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT repeat%' AND wait_event = 'ClientWrite'") == 1, "it is stuck")
        for _ in range(20):
            with lodge.login("trusted.soylent") as other:
                assert other.value("SELECT name FROM whoami") == "soylent"
        assert SANITIZED or resident_mib(lodge) < before + 8
        full.reset()
        place.check("stuck", Heard())
        place.console.close()


def test_a_server_that_stops_reading(start_lodge, postgres, tables):
    with FaultyRelay(postgres.port) as relay, start_lodge(table_for(relay.host), SETTINGS) as lodge:
        place = Place(lodge, relay, tables, before_lodge=False)
        before = resident_mib(lodge)
        full = lodge.login("trusted.globex")
        full.send(query("COPY public.copied FROM STDIN"))
        full.until(b"G")
        plan = relay.arm(Plan(UP, 0, half=True, what="stall"))
        line = message(b"d", b"x" * 8000 + b"\n")
        full.socket.settimeout(0.5)
        with pytest.raises(TimeoutError):
            for _ in range(20000):
                full.send(line)
        assert plan.fired
        with lodge.login("trusted.soylent") as other:
            assert other.value("SELECT name FROM whoami") == "soylent"
        assert SANITIZED or resident_mib(lodge) < before + 8
        relay.disarm()
        relay.cut_all()
        full.socket.settimeout(15)
        assert full.refusal().sqlstate == "08006"
        full.close()
        place.check("stuck", Heard())
        place.console.close()


def test_the_lodge_is_killed(binary, postgres, tables):
    """Its server connections end, and with them what was in a transaction; a new one serves at once."""
    del binary
    for _ in range(3):
        lodge = Lodge(table_for(postgres.host), SETTINGS).start()
        idle = lodge.login("trusted.globex")
        busy = lodge.login("trusted.globex")
        busy.rows("BEGIN")
        busy.rows("INSERT INTO public.faults VALUES ('killed')")
        running = lodge.login("trusted.soylent")
        running.send(query("SELECT pg_sleep(1)"))
        lodge.process.send_signal(signal.SIGKILL)
        lodge.process.wait()
        lodge.finished = True
        for wire in (idle, busy, running):
            wire.close()
        eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'trusted'") == 0,
                   "no server connection is left")
    assert postgres.value("SELECT count(*) FROM public.faults WHERE run = 'killed'", database="saas") == 0


@pytest.mark.slow
def test_five_thousand_half_open_startups(start_lodge, postgres, many_descriptors):
    """Others connect as before, and timeouts.startup ends the silent ones."""
    count = 5000
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < count + 500:
        pytest.skip("the limit of open files is too low for it")
    settings = {**SETTINGS, "timeouts": {"startup": "10s"}}
    with start_lodge(standard_routes(postgres.host), settings) as lodge:
        half = startup({"user": "trusted.globex", "database": "crm"})
        silent = []
        for i in range(count):
            wire = lodge.wire(timeout=60)
            wire.send(half[:i % len(half)])
            silent.append(wire)
        longest = 0
        for _ in range(20):
            started = time.monotonic()
            with lodge.login("trusted.soylent") as wire:
                assert wire.value("SELECT name FROM whoami") == "soylent"
            longest = max(longest, time.monotonic() - started)
        assert SANITIZED or longest < 1
        for wire in silent:
            assert wire.refusal().sqlstate == "57014"
            wire.close()
        eventually(lambda: len(os.listdir(f"/proc/{lodge.process.pid}/fd")) < 100, "their descriptors are closed")
