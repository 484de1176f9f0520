"""TLS with servers, and the lodge's own login there."""

import pytest
from certificates import Authority, key_of
from cluster import PASSWORD
from fake_server import FakeServer, trusting
from lodge import standard_routes
from wire import ServerError, cancel_request, query

TRUST = {"auth": {"method": "trust"}}
IN_TLS = "SELECT ssl, (SELECT name FROM whoami) FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


def table_with(host, tls, **server):
    table = standard_routes(host)
    table["servers"]["main"] |= {"tls": tls, **server}
    return table


def refused(lodge, user):
    with pytest.raises(ServerError) as caught:
        lodge.login(user).close()
    return caught.value


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


def test_another_authority(start_lodge, postgres, tmp_path):
    other = Authority(tmp_path / "other")
    tmp_path.chmod(0o755)
    with start_lodge(table_with(postgres.host, {"mode": "verify-ca", "ca": str(other.file)})) as lodge:
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
        session.send(query("SELECT pg_sleep(60)"))
        with lodge.wire() as canceller:
            canceller.send(cancel_request(session.process_id, session.secret))
            canceller.expect_closed()
        assert session.until(b"E")[-1][0] == b"E"


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
        assert error.sqlstate == "28P01"
        assert "wrong" not in lodge.log()
