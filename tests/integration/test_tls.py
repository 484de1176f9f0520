"""TLS with clients: by request and direct, certificates by name, of clients, and renewed while sessions run."""

import contextlib
import socket
import ssl
import struct
import subprocess

import psycopg
import pytest
from certificates import Authority, key_of
from cluster import BIN, PASSWORD, free_port
from lodge import eventually, standard_routes
from wire import SSL_REQUEST, Closed, Wire, cancel_request, query, startup

LOGIN = startup({"user": "trusted.globex", "database": "crm"})


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.folder.parent.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def server(authority):
    return authority.issue("server", "lodge", hosts=["localhost", "127.0.0.1"])


def listen(port, mode, certificate, **more):
    tls = {"mode": mode, "certificate": str(certificate), "key": str(key_of(certificate)), **more}
    return {"listen": [{"address": f"127.0.0.1:{port}", "tls": tls}]}


@pytest.fixture(scope="module")
def start_tls_lodge(start_lodge, postgres, server):
    """start_tls_lodge(mode, **more of the tls mapping) -> a lodge whose only door speaks TLS."""
    def start(mode, certificate=server, routes=None, daemon=None, **more):
        port = free_port()
        lodge = start_lodge(routes or standard_routes(postgres.host), {**listen(port, mode, certificate, **more), **(daemon or {})})
        lodge.port = port
        return lodge
    return start


@pytest.fixture(scope="module")
def lodge(start_tls_lodge):
    return start_tls_lodge("require")


@pytest.fixture
def context(authority):
    made = ssl.create_default_context(cafile=authority.file)
    made.set_alpn_protocols(["postgresql"])
    return made


def whoami(wire):
    wire.send(LOGIN)
    wire.until(b"Z")
    return wire.value("SELECT name FROM whoami")


def connect(lodge, **more):
    return psycopg.connect(**{"host": "localhost", "port": lodge.port, "user": "trusted.globex", "dbname": "crm", **more})


# By request, and from the first byte.

def test_by_a_driver_that_checks_everything(lodge, authority):
    with connect(lodge, sslmode="verify-full", sslrootcert=str(authority.file)) as session:
        assert session.pgconn.ssl_in_use
        assert session.execute("SELECT name FROM whoami").fetchone() == ("globex",)
    with connect(lodge, user="app.globex", password=PASSWORD, sslmode="require") as session:
        assert session.execute("SELECT name FROM whoami").fetchone() == ("globex",)


def test_a_driver_notices_another_authority(lodge, tmp_path):
    other = Authority(tmp_path / "other")
    with pytest.raises(psycopg.OperationalError, match="SSL error"):
        connect(lodge, sslmode="verify-ca", sslrootcert=str(other.file))


def test_direct(lodge, context):
    with lodge.wire() as wire:
        wire.shake_hands(context, "localhost")
        assert wire.socket.selected_alpn_protocol() == "postgresql"
        assert whoami(wire) == "globex"


def test_direct_without_alpn(lodge, authority):
    bare = ssl.create_default_context(cafile=authority.file)
    with lodge.wire() as wire:
        wire.shake_hands(bare, "localhost")
        error = wire.refusal()
        assert (error.sqlstate, "ALPN" in error.message) == ("08P01", True)


def test_direct_for_another_protocol(lodge, authority):
    http = ssl.create_default_context(cafile=authority.file)
    http.set_alpn_protocols(["h2"])
    with lodge.wire() as wire, pytest.raises(ssl.SSLError):
        wire.shake_hands(http, "localhost")


def test_openssl(lodge, authority):
    done = subprocess.run(["openssl", "s_client", "-starttls", "postgres", "-connect", f"localhost:{lodge.port}", "-CAfile",
                           authority.file, "-verify_return_error"], input=b"", capture_output=True, timeout=20, check=False)
    assert b"Verify return code: 0 (ok)" in done.stdout, done.stderr


@pytest.mark.parametrize("version, works", [(ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True),
                                            (ssl.TLSVersion.TLSv1_1, False)])
def test_versions(lodge, context, version, works):
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with lodge.wire() as wire:
        if works:
            assert whoami(wire.start_tls(context, "localhost")) == "globex"
        else:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                wire.start_tls(context, "localhost")


def test_plain_text_is_refused_where_tls_is_demanded(lodge):
    with lodge.wire() as wire:
        wire.send(LOGIN)
        error = wire.refusal()
        assert (error.sqlstate, "TLS" in error.message) == ("28000", True)


def test_plain_text_may_come_in_where_tls_is_allowed(start_tls_lodge, context):
    with start_tls_lodge("allow") as lodge:
        with lodge.wire() as wire:
            assert whoami(wire) == "globex"
        with lodge.wire() as wire:
            assert whoami(wire.start_tls(context, "localhost")) == "globex"


def test_bytes_before_the_answer(lodge):
    """What an attacker puts behind the request must not be read as if it had come by TLS."""
    with lodge.wire() as wire:
        wire.send(SSL_REQUEST + LOGIN)
        assert wire.refusal().sqlstate == "08P01"


def test_a_second_request_within_tls(lodge, context):
    with lodge.wire() as wire:
        wire.start_tls(context, "localhost").send(SSL_REQUEST)
        assert wire.refusal().sqlstate == "08P01"


@pytest.mark.parametrize("data", [b"", b"\x16", b"\x16\x03\x01", b"\x16\x03\x01\x40\x00" + b"x" * 100])
def test_a_handshake_that_stalls(start_tls_lodge, context, data):
    with start_tls_lodge("require", daemon={"timeouts": {"startup": "2s"}}) as lodge:
        with lodge.wire() as wire:
            wire.send(SSL_REQUEST)
            assert wire.exactly(1) == b"S"
            wire.send(data)
            try:
                while wire.socket.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        with lodge.wire() as wire:
            assert whoami(wire.start_tls(context, "localhost")) == "globex"


def test_nonsense_instead_of_a_handshake(lodge, context):
    with lodge.wire() as wire:
        wire.send(SSL_REQUEST)
        assert wire.exactly(1) == b"S"
        wire.send(b"GET / HTTP/1.1\r\n\r\n" * 10)
        try:
            while wire.socket.recv(4096):
                pass
        except ConnectionResetError:
            pass
    with lodge.wire() as wire:
        assert whoami(wire.start_tls(context, "localhost")) == "globex"


# What passes.

def test_much_in_both_directions(lodge):
    rows = 20000
    with connect(lodge, sslmode="require") as session:
        with session.cursor().copy(f"COPY (SELECT repeat('x', 1000) FROM generate_series(1, {rows})) TO STDOUT") as copy:
            assert sum(len(part) for part in copy) == rows * 1001
        session.execute("CREATE TEMP TABLE t (line text)")
        with session.cursor().copy("COPY t FROM STDIN") as copy:
            for _ in range(200):
                copy.write(("y" * 999 + "\n") * 100)
        assert session.execute("SELECT count(*), sum(length(line)) FROM t").fetchone() == (rows, rows * 999)
        assert session.execute(f"SELECT length('{'z' * 5000000}')").fetchone() == (5000000,)


@pytest.mark.parametrize("more", [[], ["-C"]])
def test_pgbench(lodge, more):
    script = lodge.folder / "select.sql"
    script.write_text("SELECT name FROM whoami;\n")
    done = subprocess.run([BIN / "pgbench", "-n", "-M", "prepared", "-c", "8", "-t", "50", *more, "-f", script,
                           f"host=localhost port={lodge.port} user=trusted.globex dbname=crm sslmode=require"],
                          capture_output=True, text=True, check=False)
    assert "processed: 400/400" in done.stdout, done.stderr


def test_a_slow_reader_is_waited_for(lodge, context):
    with lodge.wire() as wire:
        assert whoami(wire.start_tls(context, "localhost")) == "globex"
        wire.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 30000)"))
        eventually(lambda: wire.socket.pending() or wire.read(), "the first of it is there")
        assert sum(1 for kind, _ in wire.until(b"Z") if kind == b"D") >= 29998


def test_who_leaves_is_gone(lodge, postgres, context):
    with lodge.wire() as wire:
        whoami(wire.start_tls(context, "localhost"))
        process_id = wire.process_id
    eventually(lambda: postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", process_id) == 0,
               "the server's session ends with the client's")


def test_the_lodge_says_goodbye(lodge, context, postgres):
    """An error, then TLS's own end, so that the client knows that nothing was cut off."""
    with lodge.wire() as wire:
        whoami(wire.start_tls(context, "localhost"))
        wire.socket.suppress_ragged_eofs = False
        postgres.value("SELECT pg_terminate_backend(%s)", wire.process_id)
        assert wire.refusal().sqlstate == "57P01"


@pytest.mark.parametrize("by_tls", [True, False])
def test_cancelling(lodge, postgres, context, by_tls):
    with lodge.wire() as wire:
        whoami(wire.start_tls(context, "localhost"))
        wire.send(query("SELECT pg_sleep(60)"))
        eventually(postgres.sleeps, "it sleeps")
        with lodge.wire() as canceller:
            if by_tls:
                canceller.start_tls(context, "localhost")
            canceller.send(cancel_request(wire.process_id, wire.secret))
            canceller.expect_closed()
        assert wire.until(b"E")[-1][0] == b"E"


def test_sessions_are_resumed(lodge, context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with lodge.wire() as wire:
        whoami(wire.start_tls(context, "localhost"))
        ticket = wire.socket.session
    with lodge.wire() as wire:
        wire.send(SSL_REQUEST)
        assert wire.exactly(1) == b"S"
        wire.shake_hands(context, "localhost", session=ticket)
        assert wire.socket.session_reused
        assert whoami(wire) == "globex"


# Certificates of clients.

@pytest.fixture(scope="module")
def verifying(start_tls_lodge, authority):
    return start_tls_lodge("verify", client_ca=str(authority.file))


def with_certificate(authority, file):
    made = ssl.create_default_context(cafile=authority.file)
    if file:
        made.load_cert_chain(file, key_of(file))
    return made


def test_a_client_certificate_is_demanded(verifying, authority):
    good = authority.issue("good", "trusted")
    with verifying.wire() as wire:
        assert whoami(wire.start_tls(with_certificate(authority, good), "localhost")) == "globex"


@pytest.mark.parametrize("kind", ["none", "expired", "early", "strange"])
def test_a_client_certificate_that_is_no_good(verifying, authority, tmp_path, kind):
    files = {"none": lambda: None, "expired": lambda: authority.issue("expired", "trusted", begins=-3, ends=-1),
             "early": lambda: authority.issue("early", "trusted", begins=1, ends=2),
             "strange": lambda: Authority(tmp_path / "strange").issue("strange", "trusted")}
    context = with_certificate(authority, files[kind]())
    with verifying.wire() as wire, pytest.raises((ssl.SSLError, ConnectionResetError, Closed)):
        wire.start_tls(context, "localhost")  # by TLS 1.3 the client hears of it with its first read only
        whoami(wire)
    verifying.wait_for_log("no TLS came about")


@pytest.fixture
def by_certificate(start_tls_lodge, authority, postgres):
    def start(hint):
        table = standard_routes(postgres.host)
        table["hints"] = [{"certificate": hint}]
        return start_tls_lodge("verify", routes=table, client_ca=str(authority.file))
    return start


def test_a_certificate_names_the_tenant(by_certificate, authority):
    with by_certificate("cn") as lodge:
        file = authority.issue("globex", "globex")
        with lodge.wire() as wire:
            wire.start_tls(with_certificate(authority, file), "localhost").login("trusted", "crm")
            assert wire.value("SELECT name FROM whoami") == "globex"
        odd = authority.issue("odd", "John Doe")
        with lodge.wire() as wire:
            wire.start_tls(with_certificate(authority, odd), "localhost").send(startup({"user": "trusted", "database": "crm"}))
            assert wire.refusal().sqlstate == "3D000"


def test_an_alternative_name_names_the_tenant(by_certificate, authority):
    with by_certificate("san") as lodge:
        file = authority.issue("soylent", "somebody", hosts=["soylent"])
        with lodge.wire() as wire:
            wire.start_tls(with_certificate(authority, file), "localhost").login("trusted", "crm")
            assert wire.value("SELECT name FROM whoami") == "soylent"
        both = authority.issue("both", "somebody", hosts=["soylent", "globex"])
        with lodge.wire() as wire:
            wire.start_tls(with_certificate(authority, both), "localhost").send(startup({"user": "trusted", "database": "crm"}))
            assert wire.refusal().sqlstate == "28000"


def test_a_name_with_a_nul_names_nobody(by_certificate, authority):
    """globex, NUL, and what the authority looked at: some libraries would read globex."""
    with by_certificate("cn") as lodge:
        file = authority.issue("nul", "globex\0.example.com")
        with lodge.wire() as wire, pytest.raises((ssl.SSLError, ConnectionResetError, Closed)):
            wire.start_tls(with_certificate(authority, file), "localhost")
            wire.send(startup({"user": "trusted", "database": "crm", "options": "-c app.tenant=globex"}))
            wire.until(b"Z")
        lodge.wait_for_log("no TLS came about")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_is_looked_at_each_time(start_lodge, postgres, server, authority, tmp_path, version):
    """A ticket of one door, or of before a reload, does not stand for the certificate that another door would ask for."""
    other = Authority(tmp_path / "other")
    ports = {name: free_port() for name in ("open", "ours", "theirs")}
    doors = [listen(ports["open"], "require", server), listen(ports["ours"], "require", server, client_ca=str(authority.file)),
             listen(ports["theirs"], "verify", server, client_ca=str(other.file))]
    with start_lodge(standard_routes(postgres.host), {"listen": [one["listen"][0] for one in doors], "auth": {"method": "trust"}}) as lodge:
        mine = with_certificate(authority, authority.issue("mine", "trusted"))
        mine.maximum_version = version

        def visit(door, session=None):
            with Wire(("127.0.0.1", ports[door])) as wire:
                wire.send(SSL_REQUEST)
                assert wire.exactly(1) == b"S"
                wire.shake_hands(mine, "localhost", session=session)
                assert whoami(wire) == "globex"
                return wire.socket.session, wire.socket.session_reused
        for door in "open", "ours":
            ticket, _ = visit(door)
            with pytest.raises((ssl.SSLError, ConnectionResetError, Closed)):
                visit("theirs", ticket)
            assert visit("ours", ticket)[1] is False


@pytest.mark.parametrize("by_request", [True, False])
def test_who_gives_up_in_mid_handshake_holds_up_nobody(start_tls_lodge, context, by_request):
    """What would be said to it, why its time is over, cannot be said."""
    with start_tls_lodge("require", daemon={"workers": 2, "timeouts": {"startup": "500ms"}}) as lodge:
        early = lodge.wire()
        assert whoami(early.start_tls(context, "localhost")) == "globex"
        began = [lodge.wire() for _ in range(6)]
        for one in began:
            if by_request:
                one.send(SSL_REQUEST)
                assert one.exactly(1) == b"S"
            one.send(b"\x16\x03\x01\x02\x00\x01\x00")
        eventually(lambda: lodge.log().count("the startup took too long") == 6, lambda: lodge.log()[-2000:])
        for one in began:
            one.close()
        for _ in range(4):
            with lodge.wire() as wire:
                assert whoami(wire.start_tls(context, "localhost")) == "globex"
        assert early.value("SELECT 1") == "1"
        early.close()


class InMemory:
    """TLS whose records go out when they are told to."""

    def __init__(self, lodge, context):
        self.socket = socket.create_connection(("127.0.0.1", lodge.port), timeout=15)
        self.socket.sendall(SSL_REQUEST)
        assert self.socket.recv(1) == b"S"
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.carry(self.tls.do_handshake)
        self.send()

    def carry(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.send()
                received = self.socket.recv(65536)
                assert received
                self.incoming.write(received)

    def send(self):
        self.socket.sendall(self.outgoing.read())


@pytest.mark.parametrize("io_method", ["epoll", "auto"])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_goodbye_and_a_reset_behind_a_statement_hold_up_nobody(start_tls_lodge, postgres, context, io_method, mode):
    daemon = {"workers": 1, "io_method": io_method}
    with start_tls_lodge("require", routes=standard_routes(postgres.host, mode), daemon=daemon) as lodge:
        for _ in range(12):
            one = InMemory(lodge, context)
            one.tls.write(LOGIN)
            received = b""
            while b"Z\0\0\0\5I" not in received:
                received += one.carry(lambda: one.tls.read(65536))
            one.tls.write(query("SELECT 1"))
            with contextlib.suppress(ssl.SSLError):
                one.tls.unwrap()
            one.send()
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.socket.close()
        with lodge.wire() as wire:
            assert whoami(wire.start_tls(context, "localhost")) == "globex"


# Names.

def test_the_certificate_is_chosen_by_name(start_tls_lodge, authority, server):
    more = [authority.issue("eu", "eu", hosts=["eu.example.com", "*.eu.example.com"]), authority.issue("us", "us", hosts=["us.example.com"])]
    files = [{"certificate": str(file), "key": str(key_of(file))} for file in more]
    with start_tls_lodge("require", certificates=files) as lodge:
        for asked, got in (("us.example.com", "us"), ("eu.example.com", "eu"), ("acme.eu.example.com", "eu"),
                           ("localhost", "lodge"), ("nobody.example.com", "lodge"), (None, "lodge")):
            context = ssl.create_default_context(cafile=authority.file)
            context.check_hostname = False
            with lodge.wire() as wire:
                wire.start_tls(context, asked)
                assert dict(pair[0] for pair in wire.socket.getpeercert()["subject"]) == {"commonName": got}


def test_the_name_asked_for_names_the_tenant(start_tls_lodge, authority, postgres):
    table = standard_routes(postgres.host)
    table["hints"] = [{"sni": "{tenant}.db.example.com"}, {"user": "{role}.{tenant}"}]
    wild = authority.issue("wild", "wild", hosts=["*.db.example.com"])
    with start_tls_lodge("require", certificate=wild, routes=table) as lodge:
        context = ssl.create_default_context(cafile=authority.file)
        with lodge.wire() as wire:
            wire.start_tls(context, "globex.db.example.com").login("trusted", "crm")
            assert wire.value("SELECT name FROM whoami") == "globex"
        with lodge.wire() as wire:
            wire.start_tls(context, "globex.db.example.com").send(startup({"user": "trusted.soylent", "database": "crm"}))
            assert wire.refusal().sqlstate == "28000"
        with lodge.wire() as wire:
            wire.start_tls(context, "nobody.db.example.com").send(startup({"user": "trusted", "database": "crm"}))
            assert wire.refusal().sqlstate == "3D000"


# Renewal.

def subject(lodge, context):
    with lodge.wire() as wire:
        wire.start_tls(context, "localhost")
        return dict(pair[0] for pair in wire.socket.getpeercert()["subject"])["commonName"]


def test_a_renewed_certificate_is_taken_up(start_tls_lodge, authority, context):
    current = authority.issue("current", "first", hosts=["localhost"])
    with start_tls_lodge("require", certificate=current) as lodge, lodge.wire() as running:
        assert whoami(running.start_tls(context, "localhost")) == "globex"
        assert subject(lodge, context) == "first"
        since = lodge.mark()
        renewed = authority.issue("renewed", "second", hosts=["localhost"])
        key_of(renewed).rename(key_of(current))
        renewed.rename(current)
        lodge.wait_for_log("reloaded (", since=since)
        eventually(lambda: subject(lodge, context) == "second", "new clients see the new one")
        assert running.value("SELECT name FROM whoami") == "globex"


def test_a_key_that_cannot_be_used_changes_nothing(start_tls_lodge, authority, context):
    current = authority.issue("kept", "kept", hosts=["localhost"])
    with start_tls_lodge("require", certificate=current) as lodge:
        since = lodge.mark()
        key_of(current).write_text("no key")
        lodge.wait_for_log("refused, ", since=since)
        assert "cannot use the key" in lodge.log(since)
        assert subject(lodge, context) == "kept"
        since = lodge.mark()
        key_of(current).unlink()
        lodge.wait_for_log("refused, ", since=since)
        assert subject(lodge, context) == "kept"


def test_a_key_that_anybody_can_read_gets_a_warning(start_tls_lodge, authority):
    open_to_all = authority.issue("open", "open", hosts=["localhost"])
    key_of(open_to_all).chmod(0o644)
    with start_tls_lodge("require", certificate=open_to_all) as lodge:
        assert "every user of this machine can read" in lodge.log()


def test_a_door_that_speaks_none_says_so(start_lodge, postgres, context):
    with start_lodge(standard_routes(postgres.host)) as lodge:
        with lodge.wire() as wire:
            wire.send(SSL_REQUEST)
            assert wire.exactly(1) == b"N"
        with socket.create_connection(lodge.address) as direct:
            direct.sendall(b"\x16\x03\x01\x00\x05hello")
            assert b"does not speak TLS" in direct.recv(4096)


