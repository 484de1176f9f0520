"""TLS with servers, and the lodge's own login there."""


import pytest
from certificates import Authority, key_of
from cluster import PASSWORD
from fake_server import FakeServer, trusting
from lodge import eventually, standard_routes
from wire import SSL_REQUEST, ServerError, cancel_request, query

TRUST = {"auth": {"method": "trust"}}
IN_TLS = "SELECT ssl, (SELECT name FROM whoami) FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def table_with(host, tls, **server):
    table = standard_routes(host, pool="session")
    table["servers"]["main"] |= {"tls": tls, **server}
    table["defaults"]["limits"] = {"wait": 0}  # what is no good is told with the first attempt
    return table


def refused(lodge, user):
    with pytest.raises(ServerError) as caught:
        lodge.login(user).close()
    return caught.value


def cancel(lodge, postgres, session):
    session.send(query("SELECT pg_sleep(60)"))
    eventually(postgres.sleeps, "it sleeps")
    with lodge.wire() as canceller:
        canceller.send(cancel_request(session.process_id, session.secret))
        canceller.expect_closed()
    assert b"C57014\0" in session.until(b"E")[-1][1]


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
def test_modes(start_lodge, postgres, mode):
    tls = {"mode": mode, **({"ca": str(postgres.authority.file)} if "verify" in mode else {})}
    with start_lodge(table_with(postgres.host, tls)) as lodge, lodge.login("trusted.globex") as session:
        assert session.rows(IN_TLS) == [("t", "globex")]


def test_disable_is_plain_text(start_lodge, postgres):
    with start_lodge(table_with(postgres.host, {"mode": "disable"})) as lodge, lodge.login("trusted.globex") as session:
        assert session.rows(IN_TLS) == [("f", "globex")]


def test_by_name(start_lodge, postgres):
    tls = {"mode": "verify-full", "ca": str(postgres.authority.file)}
    with start_lodge(table_with(f"localhost:{postgres.port}", tls)) as lodge, lodge.login("trusted.globex") as session:
        assert session.rows(IN_TLS) == [("t", "globex")]


@pytest.mark.parametrize("mode", ["verify-ca", "require"])
def test_another_authority(start_lodge, postgres, tmp_path, mode):
    other = Authority(tmp_path / "other")
    tmp_path.chmod(0o755)
    with start_lodge(table_with(postgres.host, {"mode": mode, "ca": str(other.file)})) as lodge:
        error = refused(lodge, "trusted.globex")
        assert error.sqlstate == "08001"
        assert "certificate verify failed" in error.detail


def certified(authority, **more):
    """A server that says S, shakes hands with this certificate, and would trust everybody."""
    import asyncio
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = authority.issue("fake", "fake", **more)
    context.load_cert_chain(file, key_of(file))

    async def handler(server, reader, writer):
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.drain()
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, ConnectionError, AttributeError):
            return
        await trusting()(server, reader, writer)
        await asyncio.sleep(0)
    return handler


@pytest.mark.parametrize("kind, mode, words", [
    ({"hosts": ["other.example.com"]}, "verify-full", "IP address mismatch"),
    ({"hosts": ["127.0.0.1"], "begins": -3, "ends": -1}, "verify-ca", "expired"),
    ({"hosts": ["127.0.0.1"], "begins": 1, "ends": 2}, "verify-ca", "not yet valid"),
])
def test_a_certificate_that_is_no_good(start_lodge, tmp_path, kind, mode, words):
    authority = Authority(tmp_path / "authority")
    tmp_path.chmod(0o755)
    with FakeServer(certified(authority, **kind)) as server:
        with start_lodge(table_with(server.host, {"mode": mode, "ca": str(authority.file)}), TRUST) as lodge:
            error = refused(lodge, "anybody.globex")
            assert error.sqlstate == "08001"
            assert words in error.detail


def declining(server, reader, writer):
    async def handler():
        await reader.readexactly(8)
        writer.write(b"N")
        await writer.drain()
        await trusting()(server, reader, writer)
    return handler()


def test_a_server_without_tls(start_lodge):
    with FakeServer(declining) as server:
        with start_lodge(table_with(server.host, {"mode": "prefer"}), TRUST) as lodge, lodge.login("anybody.globex") as session:
            assert session.status == "I"
        with start_lodge(table_with(server.host, {"mode": "require"}), TRUST) as lodge:
            error = refused(lodge, "anybody.globex")
            assert (error.sqlstate, "does not offer TLS" in error.detail) == ("08001", True)


# Under prefer plain text takes TLS's place where libpq lets it.

def test_prefer_goes_on_in_plain_text_where_the_server_wants_none(start_lodge, postgres):
    """pg_hba.conf rejects app_no_tls over TLS. It is said once."""
    with start_lodge(table_with(postgres.host, {"mode": "prefer"}), TRUST) as lodge:
        for _ in range(3):
            with lodge.login("app_no_tls.globex") as session:
                assert session.rows(IN_TLS) == [("f", "globex")]
                cancel(lodge, postgres, session)
        with lodge.login("trusted.globex") as session:
            assert session.rows(IN_TLS) == [("t", "globex")]
        assert lodge.log().count("was tried in plain text, as tls.mode prefer says") == 1
    with start_lodge(table_with(postgres.host, {"mode": "require"}), TRUST) as lodge:
        assert "rejects connection" in refused(lodge, "app_no_tls.globex").message


def test_prefer_tells_what_was_said_over_tls(start_lodge, postgres):
    """In plain text app_tls is not even asked for its password."""
    with start_lodge(table_with(postgres.host, {"mode": "prefer"}), TRUST) as lodge:
        error = refused(lodge, "nobody_at_all.globex")
        assert (error.sqlstate, "does not exist" in error.message) == ("28000", True)
        assert "asks for a password" in refused(lodge, "app_tls.globex").message
        assert "in plain text" not in lodge.log()


class Reread:
    """A reader whose first bytes have been looked at."""
    def __init__(self, first, reader):
        self.first, self.reader = first, reader

    async def readexactly(self, size):
        first, self.first = self.first, None
        return first or await self.reader.readexactly(size)


def bad_at_tls(then):
    """Speaks of TLS and cannot; in plain text it trusts everybody."""
    async def handler(server, reader, writer):
        first = await reader.readexactly(len(SSL_REQUEST))
        if first == SSL_REQUEST:
            writer.write(b"S")
            await writer.drain()
            await reader.read(1)
            await then(reader, writer)
        else:
            await trusting()(server, Reread(first, reader), writer)
    return handler


async def speaks_http(reader, writer):
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def leaves(reader, writer):
    pass


async def is_silent(reader, writer):
    while await reader.read(4096):
        pass


@pytest.mark.parametrize("then", [speaks_http, leaves])
def test_prefer_goes_on_in_plain_text_after_a_handshake_that_failed(start_lodge, then):
    with FakeServer(bad_at_tls(then)) as server:
        with start_lodge(table_with(server.host, {"mode": "prefer"}), TRUST) as lodge:
            for _ in range(3):
                with lodge.login("anybody.globex") as session:
                    assert session.status == "I"
            assert server.connections == 6
            assert lodge.log().count("was tried in plain text, as tls.mode prefer says, for over TLS: no TLS came about") == 1
        with start_lodge(table_with(server.host, {"mode": "require"}), TRUST) as lodge:
            assert "no TLS came about" in refused(lodge, "anybody.globex").detail
            assert server.connections == 7


def test_prefer_does_not_wait_twice_for_a_silent_server(start_lodge):
    with FakeServer(bad_at_tls(is_silent)) as server:
        daemon = {**TRUST, "timeouts": {"connect": "300ms"}}
        with start_lodge(table_with(server.host, {"mode": "prefer"}), daemon) as lodge:
            assert "no answer in time" in refused(lodge, "anybody.globex").detail
            assert server.connections == 1


@pytest.mark.parametrize("answer, words", [(b"S" + b"early bytes", "bytes before TLS"), (b"E", "no answer of the protocol"),
                                           (b"", "closed when it was asked"), (b"SHTTP/1.1 400 Bad Request\r\n\r\n", "TLS")])
def test_an_answer_that_is_none(start_lodge, answer, words):
    async def handler(server, reader, writer):
        await reader.readexactly(8)
        writer.write(answer)
        await writer.drain()
        if answer:
            await reader.read(1)
    with FakeServer(handler) as server, start_lodge(table_with(server.host, {"mode": "require"}), TRUST) as lodge:
        error = refused(lodge, "anybody.globex")
        assert error.sqlstate == "08001"
        assert words in error.detail


def test_cancelling(start_lodge, postgres):
    tls = {"mode": "verify-full", "ca": str(postgres.authority.file)}
    with start_lodge(table_with(postgres.host, tls)) as lodge, lodge.login("trusted.globex") as session:
        cancel(lodge, postgres, session)


# Logging in.

def test_by_passthrough(start_lodge, postgres):
    """The server offers channel binding; the client, in plain text here, is offered none."""
    with start_lodge(table_with(postgres.host, {"mode": "require"})) as lodge:
        session = lodge.connect("app_tls.globex", password=PASSWORD)
        cursor = session.cursor()
        cursor.execute(IN_TLS)
        assert cursor.fetchone() == (True, "globex")
        session.close()


def test_by_certificate(start_lodge, postgres):
    file = postgres.authority.issue("app_cert", "app_cert")
    tls = {"mode": "require", "certificate": str(file), "key": str(key_of(file))}
    with start_lodge(table_with(postgres.host, tls), TRUST) as lodge, lodge.login("app_cert.globex") as session:
        assert session.rows(IN_TLS) == [("t", "globex")]


@pytest.fixture
def pooled(start_lodge, postgres, tmp_path):
    """Lodges whose server has a user of its own."""
    def start(password="pool password", tls=None, **tenant):
        file = tmp_path / "password"
        file.write_text(password + "\n")
        file.chmod(0o600)
        table = table_with(postgres.host, tls or {"mode": "disable"}, user="pool", password_file=str(file))
        table["tenants"]["globex"] = tenant
        return start_lodge(table, TRUST)
    return start


@pytest.mark.parametrize("mode", ["disable", "require"])
def test_a_user_of_the_servers_own(pooled, mode):
    """By SCRAM, with channel binding over TLS; the role is the client's, and RESET comes back to it."""
    with pooled(tls={"mode": mode}) as lodge:
        for _ in range(3):
            with lodge.login("app.globex") as session:
                assert session.rows("SELECT session_user, current_user, (SELECT name FROM whoami)") == [("pool", "app", "globex")]
                session.rows("RESET ROLE")
                assert session.value("SELECT current_user") == "app"


def test_the_routes_role_goes_first(pooled):
    with pooled(role="tenant_globex") as lodge, lodge.login("app.globex") as session:
        assert session.rows("SELECT session_user, current_user") == [("pool", "tenant_globex")]


@pytest.mark.parametrize("more", [{"role": "pool"}, {"options": "-c role=pool"}, {"options": "-c role=none"},
                                  {"session_authorization": "pool"}])
def test_the_client_does_not_become_it(pooled, more):
    with pooled() as lodge, lodge.login("app.globex", **more) as session:
        assert session.value("SELECT current_user") == "app"


def test_a_role_that_the_user_may_not_be(pooled):
    with pooled() as lodge:
        error = refused(lodge, "intruder.globex")
        assert error.sqlstate == "42501"


def test_a_wrong_password_file(pooled):
    with pooled(password="wrong") as lodge:
        error = refused(lodge, "app.globex")
        assert error.sqlstate == "08001"
        assert "wrong" not in lodge.log()
