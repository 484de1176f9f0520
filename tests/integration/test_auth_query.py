"""auth.query: roles' secrets from the server's pg_authid, by a connection of the lodge's own; and when that fails."""

import time

import psycopg2
import pytest
from cluster import PASSWORD
from fake_server import FakeServer
from lodge import standard_routes
from scram import SASL, Scram, question, secret as secret_of
from wire import Wire, startup

SQL = ("SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_catalog.pg_authid "
       "WHERE rolname = $1 AND rolcanlogin")
DATABASE = "crm@globex"
UNAVAILABLE = "authentication is not available now"
KEPT = 2  # connections that the lodge asks on, and keeps for a while


@pytest.fixture(scope="module")
def roles(postgres):
    made = {"query_expired": f"LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '2020-01-01'",
            "query_later": f"LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '2120-01-01'",
            "query_null": "LOGIN", "query_nologin": f"NOLOGIN PASSWORD '{PASSWORD}'",
            "query_changing": f"LOGIN PASSWORD '{PASSWORD}'"}
    for role, options in made.items():
        postgres.value(f"CREATE ROLE {role} {options}")
        postgres.value(f"GRANT tenant_globex TO {role}")
    yield
    for role in made:
        postgres.value(f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def ask(start_lodge, postgres, roles):
    """ask(sql, ...) -> a lodge that asks so."""
    def start(sql=SQL, method="scram-sha-256", routes=None, user="postgres", **auth):
        daemon = {"auth": {"method": method, "query": {"database": "shared", "user": user, "sql": sql}, **auth}}
        lodge = start_lodge(routes or standard_routes(postgres.host), daemon)
        lodge.descriptors_before += KEPT
        return lodge
    return start


@pytest.fixture(scope="module")
def lodge(ask):
    return ask()


def connect(lodge, user, password=PASSWORD, **more):
    return psycopg2.connect(host=str(lodge.folder), port=6432, user=user, dbname=DATABASE, password=password, **more)


def refusal(lodge, user="app", **more):
    """What a client hears that is refused before it is asked anything."""
    with Wire(lodge.unix_path) as wire:
        wire.send(startup({"user": user, "database": DATABASE, **more}))
        return wire.refusal()


@pytest.mark.parametrize("role", ["app", "query_later"])
def test_secrets_from_pg_authid(lodge, role):
    connection = connect(lodge, role)
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_user, name FROM whoami")
        assert cursor.fetchone() == (role, "globex")
    connection.close()


@pytest.mark.parametrize("role, password", [
    ("app", "wrong"), ("query_expired", PASSWORD), ("query_null", PASSWORD), ("query_nologin", PASSWORD),
    ("query_nobody", PASSWORD), ("x" * 63, PASSWORD), ("x" * 64, PASSWORD), ("'; DROP ROLE app; --", PASSWORD),
    ("$1", "x"),
])
def test_who_is_not_let_in(lodge, role, password):
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed for user"):
        connect(lodge, role, password)


def test_a_name_that_is_no_text(lodge):
    with Wire(lodge.unix_path) as wire:
        packet = startup({"user": "nobody", "database": DATABASE}).replace(b"nobody", b"no\xff\xfedy")
        wire.send(packet)
        Scram("x").run(wire)
        kind, body = wire.read()
        assert kind == b"E" and b"\0C28P01\0" in body


@pytest.mark.parametrize("sql", [
    SQL + " UNION ALL SELECT $1, 'x'",
    "SELECT $1::text, (1 / 0)::text",
    "SELECT 'another', 'x' WHERE $1 <> ''",
    "SELECT $1::text",
    "SELECT $1::text, 'x', 'y'",
    "SELECT NULL, $1::text",
    "SELECT no_such_function($1), 'x'",
    "LISTEN x",
    "this is not SQL",
])
def test_a_query_that_fails_lets_nobody_in_and_tells_nothing(ask, sql):
    with ask(sql) as lodge:
        error = refusal(lodge)
        assert (error.sqlstate, error.message, error.detail) == ("08001", UNAVAILABLE, "")
        lodge.wait_for_log("auth.query failed: ")


def test_a_query_that_hangs_is_given_up(ask):
    with ask("SELECT $1::text, pg_sleep(60)::text") as lodge:
        before = time.monotonic()
        assert refusal(lodge).message == UNAVAILABLE
        assert 4 < time.monotonic() - before < 10


def test_a_server_that_hangs_is_given_up(ask, postgres):
    async def says_nothing(server, reader, writer):
        await server.read_startup(reader)
        await reader.read()
    with FakeServer(says_nothing) as dead:
        routes = standard_routes(postgres.host)
        routes["servers"]["dead"] = {"hosts": [dead.host]}
        routes["databases"]["shared"]["server"] = "dead"
        with ask(routes=routes) as lodge:
            assert refusal(lodge).message == UNAVAILABLE
            lodge.wait_for_log("no answer in time")


def test_a_server_that_is_not_there(ask, postgres):
    routes = standard_routes(postgres.host)
    routes["servers"]["gone"] = {"hosts": ["127.0.0.1:1"]}
    routes["databases"]["shared"]["server"] = "gone"
    with ask(routes=routes) as lodge:
        assert refusal(lodge).message == UNAVAILABLE
        lodge.wait_for_log("could not be reached for auth.query: 127.0.0.1:1: ")


@pytest.mark.parametrize("sql, secret", [
    ("SELECT $1::text, pg_catalog.current_setting('search_path')", "pg_catalog"),
    ("SELECT $1::text, pg_catalog.current_setting('application_name')", "pglodge-auth"),
    ("SELECT $1::text, pg_catalog.current_setting('statement_timeout')", "5s"),
    ("SELECT $1::text, coalesce(pg_catalog.current_setting('app.tenant', true), 'none')", "none"),
])
def test_the_connection_is_the_lodges_own(ask, sql, secret):
    """What the connection is like is given out as the password; nothing a client says changes it."""
    with ask(sql, "password") as lodge:
        for options in ("", "-c search_path=public -c statement_timeout=1 -c app.tenant=globex"):
            connect(lodge, "trusted", secret, options=options, application_name="evil").close()


def test_an_md5_secret_logs_in_at_a_server_that_asks_for_md5(ask):
    """The lodge never sees the password: it knows what pg_authid holds, and that answers the server's salt as well."""
    with ask(method="md5") as lodge:
        connection = connect(lodge, "app_md5")
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT session_user, name FROM whoami")
            assert cursor.fetchone() == ("app_md5", "globex")
        connection.close()
        with pytest.raises(psycopg2.OperationalError, match='password authentication failed for user "app_md5"'):
            connect(lodge, "app_md5", "wrong")


def test_the_users_file_comes_first(ask, tmp_path):
    file = tmp_path / "users.txt"
    file.write_text('"trusted" "of the file"\n"app" ""\n')
    file.chmod(0o600)
    with ask(users=str(file)) as lodge:
        connect(lodge, "trusted", "of the file").close()
        with pytest.raises(psycopg2.OperationalError, match='password authentication failed for user "app"'):
            connect(lodge, "app")
        connect(lodge, "query_later").close()


def test_the_asking_role_logs_in_by_the_users_file_or_the_servers_password_file(ask, postgres, tmp_path):
    """`app` must log in by its password, and may see no pg_authid: it asks what it may see."""
    file = tmp_path / "users.txt"
    file.write_text(f'"app" "{PASSWORD}"\n')
    file.chmod(0o600)
    sql = "SELECT $1::text, session_user::text WHERE $1 = 'trusted'"
    with ask(sql, user="app", users=str(file)) as lodge:
        connect(lodge, "trusted", "app").close()
    with ask(sql, user="app") as lodge:
        assert refusal(lodge, "trusted").message == UNAVAILABLE
        lodge.wait_for_log("no password supplied")


def test_a_changed_password_is_in_force_once_the_new_one_was_refused(lodge, postgres):
    """That takes a second or two, and not the ten for which an answer is believed that nobody doubts."""
    connect(lodge, "query_changing").close()
    postgres.value("ALTER ROLE query_changing PASSWORD 'changed'")
    until = time.monotonic() + 6
    while True:
        try:
            connect(lodge, "query_changing", "changed").close()
            break
        except psycopg2.OperationalError:
            assert time.monotonic() < until
            time.sleep(0.2)
    with pytest.raises(psycopg2.OperationalError):
        connect(lodge, "query_changing")


def test_unknown_roles_are_asked_the_same_whoever_came_before(lodge, postgres):
    def iterations(user):
        with Wire(lodge.unix_path) as wire:
            wire.send(startup({"user": user, "database": DATABASE}))
            assert question(wire)[0] == SASL
            wire.send(Scram("x").first())
            return question(wire)[1].rsplit(b",", 1)[1]
    postgres.value(f"CREATE ROLE query_many LOGIN PASSWORD '{secret_of(PASSWORD, iterations=20000)}'")
    assert (iterations("query_many"), iterations("query_nobody_1")) == (b"i=20000", b"i=4096")
    assert (iterations("app"), iterations("query_nobody_2")) == (b"i=4096", b"i=4096")
    postgres.value("DROP ROLE query_many")


def test_an_unknown_role_is_asked_the_same(lodge):
    def conversation(user):
        with Wire(lodge.unix_path) as wire:
            wire.send(startup({"user": user, "database": DATABASE}))
            kind, mechanisms = question(wire)
            client = Scram("wrong")
            wire.send(client.first())
            data = question(wire)[1]
            wire.send(client.final(data))
            return kind, mechanisms, len(data), data.rsplit(b",", 1)[1], wire.refusal().sqlstate
    assert conversation("app") == conversation("query_nobody") == conversation("query_null")
    assert conversation("app")[0] == SASL


def test_no_connection_of_the_lodges_stays_in_a_transaction(lodge, postgres):
    connect(lodge, "app").close()
    states = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pglodge-auth' AND state <> 'idle'"
    assert postgres.value(states) == 0
    assert postgres.value(states.replace("<>", "=")) <= KEPT
