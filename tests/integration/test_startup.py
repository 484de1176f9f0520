"""Every bad beginning ends in a clear error or a close, at once or by timeouts.startup, and hurts nobody else."""

import struct
import time

import pytest
from lodge import standard_routes
from wire import GSSENC_REQUEST, SSL_REQUEST, V3_0, V3_2, Closed, cancel_request, startup

GOOD = startup({"user": "trusted.globex", "database": "crm"})


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    return start_lodge(standard_routes(postgres.host), {"timeouts": {"startup": "1s"}})


@pytest.fixture(autouse=True)
def others_do_not_notice(lodge):
    """A session from before goes on, and a new one gets in."""
    with lodge.login("trusted.globex") as before:
        yield
        assert before.value("SELECT name FROM whoami") == "globex"
    with lodge.login("trusted.soylent") as after:
        assert after.value("SELECT name FROM whoami") == "soylent"


def packet(body, version=V3_0):
    return struct.pack("!II", len(body) + 8, version) + body


@pytest.mark.parametrize("data", [
    struct.pack("!iI", 0, V3_0),
    struct.pack("!iI", 4, V3_0),
    struct.pack("!iI", 7, V3_0),
    struct.pack("!iI", -1, V3_0),
    struct.pack("!iI", 10001, V3_0),
    struct.pack("!iI", 0x7FFFFFFF, V3_0),
    packet(b"user\0trusted.globex\0"),
    packet(b"user\0trusted.globex"),
    packet(b"user\0"),
    packet(b"user\0trusted.globex\0\0more"),
    startup([("user", "trusted.globex"), ("user", "app.globex")]),
    startup([("user", "trusted.globex"), ("database", "crm"), ("database", "crm")]),
    startup([("user", "trusted.globex"), ("options", ""), ("options", "-c a.b=c")]),
    b"GET / HTTP/1.1\r\nHost: lodge\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 40,
])
def test_what_is_no_startup_packet(lodge, data):
    with lodge.wire() as wire:
        wire.send(data)
        error = wire.refusal()
        assert error.severity == "FATAL"
        assert error.sqlstate in ("08P01", "0A000")


@pytest.mark.parametrize("data", [packet(b""), startup({}), startup({"database": "crm"}),
                                  startup({"user": "", "database": "crm"})])
def test_no_user(lodge, data):
    with lodge.wire() as wire:
        wire.send(data)
        assert wire.refusal().sqlstate in ("28000", "08P01")


@pytest.mark.parametrize("major, minor", [(1, 0), (2, 0), (4, 0), (4, 2), (0, 0), (1234, 5)])
def test_another_protocol(lodge, major, minor):
    with lodge.wire() as wire:
        wire.send(startup({"user": "trusted.globex"}, major << 16 | minor))
        assert wire.refusal().sqlstate == "0A000"


def test_the_longest_packet_that_is_allowed(lodge):
    """By a route that adds nothing, since the server has the same limit."""
    empty = startup({"user": "trusted.acme", "database": "crm", "app.filling": ""})
    for size, fits in ((10000, True), (10001, False)):
        with lodge.wire() as wire:
            wire.send(startup({"user": "trusted.acme", "database": "crm", "app.filling": "x" * (size - len(empty))}))
            if fits:
                wire.until(b"Z")
            else:
                assert wire.refusal().sqlstate == "08P01"


def test_cut_at_every_byte(lodge):
    for length in range(len(GOOD)):
        with lodge.wire() as wire:
            wire.send(GOOD[:length])
        with lodge.wire() as wire:
            wire.send(GOOD[:length])
            wire.reset()


def test_in_single_bytes(lodge):
    with lodge.wire() as wire:
        for i in range(len(GOOD)):
            wire.send(GOOD[i:i + 1])
        wire.until(b"Z")
        assert wire.value("SELECT name FROM whoami") == "globex"


# Versions and options.

@pytest.mark.parametrize("minor, told, secret", [(0, False, 4), (1, False, 4), (2, False, 32), (3, True, 32), (7, True, 32),
                                                 (3999, True, 32), (9999, True, 32), (65535, True, 32)])
def test_protocol_3(lodge, minor, told, secret):
    with lodge.wire() as wire:
        wire.login("trusted.globex", "crm", 3 << 16 | minor)
        assert wire.negotiated == (struct.pack("!II", V3_2, 0) if told else None)
        assert len(wire.secret) == secret
        assert wire.value("SELECT name FROM whoami") == "globex"


def test_protocol_options_that_nobody_knows(lodge):
    with lodge.wire() as wire:
        wire.login("trusted.globex", "crm", **{"_pq_.first": "1", "_pq_.second": "x"})
        assert wire.negotiated[4:] == struct.pack("!I", 2) + b"_pq_.first\0_pq_.second\0"
        assert wire.value("SELECT name FROM whoami") == "globex"


# Before the startup packet.

@pytest.mark.parametrize("requests", [[SSL_REQUEST], [GSSENC_REQUEST], [SSL_REQUEST, GSSENC_REQUEST],
                                      [GSSENC_REQUEST, SSL_REQUEST]])
def test_encryption_is_declined(lodge, requests):
    with lodge.wire() as wire:
        for request in requests:
            wire.send(request)
            assert wire.exactly(1) == b"N"
        wire.login("trusted.globex", "crm")
        assert wire.value("SELECT name FROM whoami") == "globex"


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
def test_the_same_request_twice(lodge, request_):
    with lodge.wire() as wire:
        wire.send(request_)
        assert wire.exactly(1) == b"N"
        wire.send(request_)
        assert wire.refusal().sqlstate == "08P01"


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
@pytest.mark.parametrize("rest", [GOOD, b"x", SSL_REQUEST, b"Q\0\0\0\x0eSELECT 1;\0"])
def test_bytes_behind_an_encryption_request(lodge, request_, rest):
    """Who put them there did not wait for the answer: they are not to be read as what comes after it."""
    with lodge.wire() as wire:
        wire.send(request_ + rest)
        assert wire.refusal().sqlstate == "08P01"


@pytest.mark.parametrize("data", [
    cancel_request(1, b""),
    cancel_request(1, b"abc"),
    cancel_request(1, b"abcd"),
    cancel_request(1, b"x" * 256),
    cancel_request(1, b"x" * 257),
])
def test_cancel_requests_of_nobody_get_no_answer_that_helps(lodge, data):
    with lodge.wire() as wire:
        wire.send(data)
        try:
            assert wire.refusal().sqlstate == "08P01"
        except Closed:
            pass


def test_a_second_startup_packet(lodge):
    with lodge.wire() as wire:
        wire.login("trusted.globex", "crm")
        wire.send(GOOD)
        assert wire.refusal().sqlstate == "08P01"
    with lodge.wire() as wire:
        wire.send(GOOD + GOOD)
        assert wire.refusal(after=b"RSKZ").sqlstate == "08P01"


# Time.

@pytest.mark.parametrize("beginning", [b"", GOOD[:1], GOOD[:-1], SSL_REQUEST])
def test_silence(lodge, beginning):
    started = time.monotonic()
    with lodge.wire() as wire:
        wire.send(beginning)
        if beginning == SSL_REQUEST:
            assert wire.exactly(1) == b"N"
        assert wire.refusal().sqlstate == "57014"
    assert 0.8 < time.monotonic() - started < 4


def test_silence_when_asked_for_the_password(lodge):
    with lodge.wire() as wire:
        wire.send(startup({"user": "app.globex", "database": "crm"}))
        assert wire.refusal(after=b"R").sqlstate == "57014"


def test_a_byte_now_and_then(lodge):
    started = time.monotonic()
    with lodge.wire(timeout=0.2) as wire:
        for i in range(len(GOOD)):
            wire.send(GOOD[i:i + 1])
            try:
                kind, _ = wire.read()
                assert kind == b"E"
                break
            except TimeoutError:
                pass
        else:
            pytest.fail("it never ended")
    assert time.monotonic() - started < 4


def test_the_clock_stops_with_the_startup(lodge):
    with lodge.login("trusted.globex") as session:
        assert session.value("SELECT 'awake' FROM pg_sleep(1.5)") == "awake"
