"""Nonsense in mid-session: the session ends with 08P01, the lodge and everybody else go on."""

import socket
import struct

import pytest
from fake_server import FakeServer, error_response, trusting
from lodge import eventually, standard_routes
from wire import Closed, ServerError, message, query


@pytest.fixture(autouse=True)
def others_do_not_notice(request):
    lodge = request.getfixturevalue("lodge")
    with lodge.login("trusted.globex") as before:
        yield
        assert before.value("SELECT name FROM whoami") == "globex"


@pytest.mark.parametrize("data", [
    b"Q\xff\xff\xff\xff",
    b"Q\x80\x00\x00\x00",
    b"Q\x7f\xff\xff\xff",
    b"Q\x00\x00\x00\x03",
    b"Q\x00\x00\x00\x00",
    b"S\x00\x00\x00\x05x",
    b"S\x00\x01\x00\x00",
    b"X\x7f\xff\xff\xff",
    b"H\x00\x00\x00\x05x",
    b"z\x00\x00\x00\x04",
    b"\x00\x00\x00\x00\x04",
    b"\xff\x00\x00\x00\x04",
    b"T\x00\x00\x00\x06\x00\x00",
    b"Z\x00\x00\x00\x05I",
    message(b"p", b"md5deadbeef\0"),
    message(b"p", b"SCRAM-SHA-256\0\0\0\0\x01n"),
])
def test_a_message_that_is_none(lodge, data):
    with lodge.login("trusted.globex") as session:
        session.send(data)
        error = session.refusal()
        assert (error.severity, error.sqlstate) == ("FATAL", "08P01")


def test_what_came_before_it_is_answered(lodge):
    with lodge.login("trusted.globex") as session:
        session.send(query("SELECT name FROM whoami") + query("SELECT pg_sleep(0)"))
        session.until(b"Z")
        session.until(b"Z")
        session.send(b"z\x00\x00\x00\x04")
        assert session.refusal().sqlstate == "08P01"


def test_in_the_middle_of_an_answer(lodge):
    """The error may come in place of the rest of the result, never inside a message of it."""
    with lodge.login("trusted.globex") as session:
        session.send(query("SELECT repeat('x', 10000) FROM generate_series(1, 10000)"))
        session.until(b"D")
        session.send(b"z\x00\x00\x00\x04")
        try:
            while True:
                kind, body = session.read()
                assert kind in b"DCZE"
                if kind == b"E":
                    assert ServerError(body).sqlstate == "08P01"
        except (Closed, ConnectionResetError):
            pass


@pytest.mark.parametrize("data", [b"Q", b"Q\x00\x00", b"Q\x00\x00\x10\x00SELECT", b"d\x00\x00"])
def test_a_message_that_never_ends(lodge, data, postgres):
    with lodge.login("trusted.globex") as session:
        process_id = session.process_id
        session.send(data)
    eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", process_id) == 0,
               "the server's session ends with the client's")


def test_what_only_the_server_can_judge_goes_to_the_server(lodge):
    """A query without its terminator is a well-formed frame: the server's own error comes back, and the session lives."""
    with lodge.login("trusted.globex") as session:
        session.send(message(b"Q", b"SELECT 1"))
        with pytest.raises(ServerError) as caught:
            session.until(b"Z")
        assert caught.value.sqlstate == "08P01"
        assert "F" in caught.value.fields  # a file name: PostgreSQL's own
        session.until(b"Z")
        assert session.value("SELECT name FROM whoami") == "globex"


def test_messages_in_single_bytes(lodge):
    with lodge.login("trusted.globex") as session:
        session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in query("SELECT name FROM whoami"):
            session.send(bytes([byte]))
        assert session.until(b"Z")[1][0] == b"D"
        assert session.status == "I"


@pytest.mark.parametrize("data", [
    b"hello there\r\n",
    b"D\xff\xff\xff\xff",
    b"D\x00\x00\x00\x02",
    b"Z\x00\x00\x00\x09IIIII",
    b"\x00" * 64,
    b"y\x00\x00\x00\x04",
])
def test_a_server_that_talks_nonsense(start_lodge, data):
    async def nonsense(writer):
        writer.write(data)
        await writer.drain()
    with FakeServer(trusting(after_query=nonsense)) as server, \
            start_lodge(standard_routes(server.host, pool="session"), {"auth": {"method": "trust"}}) as lodge, \
            lodge.login("anybody.globex") as session:
        session.send(query("SELECT 1"))
        assert session.refusal().sqlstate == "08P01"


def test_a_server_that_says_fatal_without_a_code(start_lodge):
    async def dying(writer):
        writer.write(error_response(S="FATAL", M="out of cheese"))
        await writer.drain()
    with FakeServer(trusting(after_query=dying)) as server, \
            start_lodge(standard_routes(server.host, pool="session"), {"auth": {"method": "trust"}}) as lodge, \
            lodge.login("anybody.globex") as session:
        session.send(query("SELECT 1"))
        assert session.refusal().fields == {"S": "FATAL", "M": "out of cheese"}


def test_a_header_cut_between_segments_is_judged_too(lodge):
    with lodge.login("trusted.globex") as session:
        session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"Q" + struct.pack("!i", -5):
            session.send(bytes([byte]))
        try:
            assert session.refusal().sqlstate == "08P01"
        except Closed:
            pass  # four bytes of the header had been passed on: then only closing is safe
