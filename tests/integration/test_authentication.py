"""passthrough: the server's own exchange with the client. trust: nobody is asked, and the server must not ask."""

import asyncio

import asyncpg
import psycopg
import psycopg2
import pytest
from cluster import PASSWORD, free_port
from lodge import standard_routes
from wire import V3_2, message, startup


# An md5 answer is salted with the name the client knows itself by (PostgreSQL docs, 55.2.1), so under md5 the user's
# name cannot carry the tenant.
@pytest.mark.parametrize("user, database", [("app.globex", "crm"), ("app_plain.globex", "crm"), ("trusted.globex", "crm"),
                                            ("app", "crm@globex"), ("app_md5", "crm@globex"), ("app_plain", "crm@globex")])
def test_the_right_password(lodge, user, database):
    connection = lodge.connect(user, database, password=PASSWORD)
    cursor = connection.cursor()
    cursor.execute("SELECT session_user, name FROM whoami")
    assert cursor.fetchone() == (user.removesuffix(".globex"), "globex")
    connection.close()


@pytest.mark.parametrize("role", ["app", "app_md5", "app_plain"])
def test_the_wrong_password(lodge, role):
    with pytest.raises(psycopg2.OperationalError, match=f'password authentication failed for user "{role}"'):
        lodge.connect(f"{role}.globex", password="wrong")


def test_other_drivers(lodge):
    with psycopg.connect(host="127.0.0.1", port=lodge.port, user="app.globex", dbname="crm", password=PASSWORD) as one:
        assert one.execute("SELECT name FROM whoami").fetchone() == ("globex",)

    async def by_asyncpg():
        connection = await asyncpg.connect(host="127.0.0.1", port=lodge.port, user="app.globex", database="crm",
                                           password=PASSWORD)
        try:
            return await connection.fetchval("SELECT name FROM whoami")
        finally:
            await connection.close()
    assert asyncio.run(by_asyncpg()) == "globex"


def test_a_client_that_gives_up_when_asked(lodge):
    with lodge.wire() as wire:
        wire.send(startup({"user": "app.globex", "database": "crm"}))
        assert wire.until(b"R")[-1][1][:4] == b"\0\0\0\x0a"  # AuthenticationSASL


def test_a_client_that_answers_with_something_else(lodge):
    with lodge.wire() as wire:
        wire.send(startup({"user": "app.globex", "database": "crm"}))
        wire.until(b"R")
        wire.send(message(b"Q", b"SELECT 1\0"))
        assert wire.refusal().sqlstate == "08P01"


def test_a_password_beyond_all_measure(lodge):
    with lodge.wire() as wire:
        wire.send(startup({"user": "app_plain.globex", "database": "crm"}))
        wire.until(b"R")
        wire.send(b"p\x7f\xff\xff\xff" + b"x" * 100)
        assert wire.refusal().sqlstate == "08P01"


def test_scram_under_protocol_3_2(lodge):
    with lodge.wire() as wire:
        wire.send(startup({"user": "app.globex", "database": "crm"}, V3_2))
        assert wire.until(b"R")[-1][1].startswith(b"\0\0\0\x0aSCRAM-SHA-256\0")


@pytest.fixture(scope="module")
def trusting_lodge(start_lodge, postgres):
    return start_lodge(standard_routes(postgres.host), {"auth": {"method": "trust"}})


def test_trust(trusting_lodge):
    with trusting_lodge.login("trusted.globex") as session:
        assert session.value("SELECT name FROM whoami") == "globex"


@pytest.mark.parametrize("role, method", [("app", "scram"), ("app_md5", "md5"), ("app_plain", "password")])
def test_trust_in_front_of_a_server_that_asks(trusting_lodge, role, method):
    with trusting_lodge.wire() as wire:
        wire.send(startup({"user": f"{role}.globex", "database": "crm"}))
        error = wire.refusal()
    assert error.sqlstate == "08001"
    assert method in error.message.lower()
    assert "passthrough" in error.hint


def test_passthrough_by_a_rule_where_the_server_knows_the_lodge(start_lodge, postgres):
    """It would let anybody in as the server's own user."""
    table = standard_routes(postgres.host)
    table["servers"]["known"] = {"hosts": [postgres.host], "user": "trusted"}
    table["databases"]["known"] = {"server": "known", "dbname": "saas"}
    table["tenants"]["soylent"] = {"database": "known"}
    daemon = {"auth": {"method": "trust", "rules": [{"tenant": "so*", "method": "passthrough"}]}}
    with start_lodge(table, daemon) as lodge:
        with lodge.wire() as wire:
            wire.send(startup({"user": "tenant_soylent.soylent", "database": "crm"}))
            error = wire.refusal()
        assert error.sqlstate == "28000"
        assert 'server "known" cannot find out' in error.message
        with lodge.login("trusted.globex") as session:
            assert session.value("SELECT name FROM whoami") == "globex"
