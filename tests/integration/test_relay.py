"""Whatever passes between a client and its server passes unharmed, of any size, in bounded memory, to the right end."""

import hashlib
import socket
import struct
import subprocess

import psycopg
import psycopg2
import pytest
from cluster import BIN
from fake_server import FakeServer, error_response, trusting
from lodge import SANITIZED, eventually, standard_routes
from wire import Closed, ServerError, columns, message, query

MIB = 1024 * 1024
LINE = "x" * 1023 + "\n"
MOST_MEMORY_MIB = 32
COPY_OUT = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, 65536)) TO STDOUT"


def check_memory(lodge):
    if not SANITIZED:
        assert lodge.memory_peak_mib() < MOST_MEMORY_MIB


class Sink:
    def __init__(self):
        self.size = 0

    def write(self, data):
        self.size += len(data)
        return len(data)


class Source:
    """64 MiB of lines, made as they are read."""
    def __init__(self, lines=65536):
        self.data = memoryview(LINE.encode() * 64)
        self.left = lines * len(LINE)

    def read(self, size):
        chunk = bytes(self.data[:min(size, self.left, len(self.data))])
        self.left -= len(chunk)
        return chunk


def by_psql(port, user, database, sql):
    psql = subprocess.run([BIN / "psql", "-XAt", "-h", "127.0.0.1", "-p", str(port), "-U", user, "-d", database, "-c", sql],
                          stdout=subprocess.PIPE, check=True)
    return len(psql.stdout), hashlib.sha256(psql.stdout).hexdigest()


def test_a_million_rows(lodge, postgres):
    sql = "SELECT g, md5(g::text) FROM generate_series(1, 1000000) g"
    assert by_psql(lodge.port, "trusted.globex", "crm", sql) == by_psql(postgres.port, "trusted", "saas", sql)
    check_memory(lodge)


def test_copy_out(lodge):
    connection, sink = lodge.connect(), Sink()
    connection.cursor().copy_expert(COPY_OUT, sink)
    connection.close()
    assert sink.size == 64 * MIB
    check_memory(lodge)


def test_copy_in(lodge):
    connection = lodge.connect()
    cursor = connection.cursor()
    cursor.execute("CREATE TEMP TABLE copied (line text)")
    cursor.copy_expert("COPY copied FROM STDIN", Source())
    cursor.execute("SELECT count(*), sum(length(line)) FROM copied")
    assert cursor.fetchone() == (65536, 65536 * 1023)
    connection.close()
    check_memory(lodge)


def test_copy_in_that_fails(lodge):
    with lodge.login("trusted.globex") as session:
        session.rows("CREATE TEMP TABLE numbers (n int)")
        session.send(query("COPY numbers FROM STDIN"))
        session.until(b"G")
        session.send(message(b"d", b"1\nnonsense\n") * 1000 + message(b"c"))
        with pytest.raises(ServerError) as caught:
            session.until(b"Z")
        assert caught.value.sqlstate == "22P02"
        session.until(b"Z")
        session.send(query("COPY numbers FROM STDIN"))
        session.until(b"G")
        session.send(message(b"f", b"enough\0"))
        session.until(b"E")
        session.until(b"Z")
        assert session.value("SELECT count(*) FROM numbers") == "0"


def test_a_slow_reader_is_waited_for(lodge, postgres):
    with lodge.login("trusted.globex") as slow, lodge.login("trusted.soylent") as quick:
        slow.send(query(COPY_OUT))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event = 'ClientWrite'"
        eventually(lambda: postgres.value(waits, slow.process_id), "the server cannot write on")
        for _ in range(100):
            assert quick.value("SELECT name FROM whoami") == "soylent"
        check_memory(lodge)
        rows = sum(1 for kind, _ in slow.until(b"Z") if kind == b"d")
        assert rows == 65536


def test_a_slow_server_is_waited_for(lodge, postgres):
    """COPY in that the server does not read, since it waits for a lock in a trigger."""
    admin = postgres.connect("saas")
    admin.cursor().execute("""
        CREATE TABLE tenant_globex.gated (line text);
        CREATE FUNCTION tenant_globex.wait() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN PERFORM pg_advisory_xact_lock(77); RETURN new; END';
        CREATE TRIGGER wait BEFORE INSERT ON tenant_globex.gated FOR EACH ROW EXECUTE FUNCTION tenant_globex.wait();
        GRANT ALL ON tenant_globex.gated TO PUBLIC;
        SELECT pg_advisory_lock(77)""")
    with lodge.login("trusted.globex") as session:
        session.send(query("COPY gated FROM STDIN"))
        session.until(b"G")
        session.socket.settimeout(1)
        sent, chunk = 0, message(b"d", LINE.encode()) * 64
        with pytest.raises(TimeoutError):
            for _ in range(1024):
                session.socket.sendall(chunk)
                sent += len(chunk)
        assert sent < 48 * MIB
        check_memory(lodge)
    admin.close()


def test_one_large_statement(lodge):
    with lodge.login("trusted.globex") as session:
        assert session.value(f"SELECT length('{'x' * 20 * MIB}')") == str(20 * MIB)
    check_memory(lodge)


def test_half_closed(lodge):
    """A client that has said all it will say gets its answer."""
    with lodge.login("trusted.globex") as session:
        session.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 5000), pg_sleep(0.0)") +
                     query("SELECT name FROM whoami, pg_sleep(0.3)"))
        session.socket.shutdown(socket.SHUT_WR)
        session.until(b"Z")
        answer = session.until(b"Z")
        assert columns(next(body for kind, body in answer if kind == b"D")) == ("globex",)
        session.expect_closed()


@pytest.mark.parametrize("how", ["reset", "close"])
def test_a_client_that_is_gone_in_the_middle(lodge, postgres, how):
    session = lodge.login("trusted.globex")
    session.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 10000000)"))
    session.until(b"D")
    getattr(session, how)()
    eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", session.process_id) == 0,
               "the server's session ends, too")


@pytest.mark.parametrize("busy", [False, True])
def test_a_fatal_error_of_the_server_comes_once_and_as_it_was(lodge, postgres, busy):
    with lodge.login("trusted.globex") as session, lodge.login("trusted.globex") as other:
        if busy:
            session.send(query("SELECT pg_sleep(60)"))
            eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'",
                                              session.process_id), "it sleeps")
        assert postgres.value("SELECT pg_terminate_backend(%s)", session.process_id)
        error = session.refusal(after=b"T")
        assert (error.severity, error.sqlstate) == ("FATAL", "57P01")
        assert error.message == "terminating connection due to administrator command"
        assert other.value("SELECT name FROM whoami") == "globex"


async def vanish(writer):
    writer.transport.abort()


async def vanish_politely(writer):
    pass


async def vanish_within_a_message(writer):
    writer.write(message(b"D", b"\0\1" + struct.pack("!I", 100) + b"x" * 100)[:50])
    await writer.drain()


@pytest.mark.parametrize("how", [vanish, vanish_politely])
def test_a_server_that_dies(start_lodge, postgres, how):
    with FakeServer(trusting(after_query=how)) as server:
        table = standard_routes(postgres.host)
        table["servers"]["big"] = {"hosts": [server.host]}
        table["databases"]["acme"]["server"] = "big"
        with start_lodge(table) as lodge, lodge.login("trusted.globex") as other:
            for _ in range(3):
                with lodge.login("trusted.acme") as session:
                    session.send(query("SELECT 1"))
                    error = session.refusal()
                    assert (error.severity, error.sqlstate) == ("FATAL", "08006")
                    assert "big" in error.message
            assert other.value("SELECT name FROM whoami") == "globex"


def test_a_server_that_dies_within_a_message(start_lodge):
    """An error there would be read as the rest of a row: the client is only closed."""
    with FakeServer(trusting(after_query=vanish_within_a_message)) as server, \
            start_lodge(standard_routes(server.host, pool="session")) as lodge, lodge.login("anybody.globex") as session:
        session.send(query("SELECT 1"))
        with pytest.raises(Closed, match="closed after 45 of"):
            session.read()


def test_an_error_of_the_server_is_not_the_end(start_lodge):
    async def odd(writer):
        writer.write(error_response(S="ERROR", V="ERROR", C="XX000", M="oops") + message(b"Z", b"I"))
        await writer.drain()
    with FakeServer(trusting(after_query=odd)) as server, start_lodge(standard_routes(server.host, pool="session")) as lodge, \
            lodge.login("anybody.globex") as session:
        session.send(query("SELECT 1"))
        assert [kind for kind, _ in session.until(b"Z", b"E")] == [b"E"]
        session.until(b"Z")
        assert session.refusal().sqlstate == "08006"


# The rest of the protocol.

def test_notices(lodge):
    with lodge.login("trusted.globex") as session:
        session.rows("DO $$ BEGIN RAISE WARNING 'mind the step'; END $$")
        assert [notice["M"] for notice in session.notices] == ["mind the step"]


def test_parameter_changes_are_reported(lodge):
    with lodge.login("trusted.globex") as session:
        session.rows("SET application_name = 'renamed'")
        assert session.parameters["application_name"] == "renamed"


def test_notifications_reach_an_idle_session(lodge):
    with lodge.login("trusted.globex") as listener, lodge.login("trusted.globex") as speaker:
        listener.rows("LISTEN door")
        speaker.rows("NOTIFY door, 'knock knock'")
        kind, body = listener.read()
        assert kind == b"A"
        assert body == struct.pack("!I", speaker.process_id) + b"door\0knock knock\0"


def test_pipelines(lodge):
    with psycopg.connect(host="127.0.0.1", port=lodge.port, user="trusted.globex", dbname="crm", autocommit=True) as one:
        with one.pipeline() as pipeline:
            cursors = [one.execute("SELECT %s::int, name FROM whoami", (i,)) for i in range(500)]
            pipeline.sync()
            failing = one.execute("SELECT 1/%s", (0,))
            with pytest.raises(psycopg.errors.DivisionByZero):
                failing.fetchone()
        assert [cursor.fetchone() for cursor in cursors] == [(i, "globex") for i in range(500)]


def test_a_pipeline_without_waiting(lodge):
    """Thousands of requests before the first answer is read: both directions are full at once."""
    one = (message(b"P", b"\0SELECT repeat('x', 500)\0\0\0") + message(b"B", b"\0\0" + b"\0" * 6) +
           message(b"E", b"\0" + b"\0" * 4) + message(b"S"))
    with lodge.login("trusted.globex") as session:
        count = 2000
        session.socket.sendall(one * count)
        kinds = [kind for _ in range(count) for kind, _ in session.until(b"Z")]
        assert kinds.count(b"D") == count
        assert session.value("SELECT name FROM whoami") == "globex"


def test_large_objects(lodge):
    connection = psycopg2.connect(host="127.0.0.1", port=lodge.port, user="trusted.globex", dbname="crm")
    large = connection.lobject(0, "wb")
    data = bytes(range(256)) * 8192
    large.write(data)
    identity = large.oid
    large.close()
    again = connection.lobject(identity, "rb")
    assert again.read() == data
    again.unlink()
    connection.commit()
    connection.close()


def test_function_call(lodge):
    with lodge.login("trusted.globex") as session:
        oid = int(session.value("SELECT 'int4pl(int4,int4)'::regprocedure::oid"))
        arguments = struct.pack("!IHHI2sI2sH", oid, 0, 2, 2, b"40", 2, b"02", 0)
        session.send(message(b"F", arguments))
        assert session.until(b"Z")[0] == (b"V", struct.pack("!I", 2) + b"42")


def test_cursors_and_prepared_statements(lodge):
    with lodge.login("trusted.globex") as session:
        session.rows("PREPARE p AS SELECT $1::int + 1")
        assert session.value("EXECUTE p(41)") == "42"
        session.rows("BEGIN")
        session.rows("DECLARE c CURSOR FOR SELECT generate_series(1, 10)")
        assert session.rows("FETCH 3 FROM c") == [("1",), ("2",), ("3",)]
        assert session.status == "T"
        session.rows("COMMIT")
        session.rows("CREATE TEMP TABLE t AS SELECT 1 AS x")
        assert session.value("SELECT x FROM t") == "1"


def test_replication_protocol(lodge):
    """It is passed on: the server's own answer to a walsender command comes back."""
    with lodge.wire() as wire:
        wire.login("postgres.globex", "crm", replication="database")
        assert wire.rows("IDENTIFY_SYSTEM")[0][3] == "saas"


