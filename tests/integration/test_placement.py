"""search_path, role and settings arrive, RESET and DISCARD come back to them, and the client keeps what is its own."""

import pytest
from fake_server import FakeServer, trusting
from lodge import standard_routes
from wire import ServerError, Wire

STATE = "SELECT current_schemas(false), current_user, current_setting('app.tenant_id', true), current_setting('work_mem')"
OURS = ("{tenant_globex,public}", "tenant_globex", "7", "5MB")


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    table = standard_routes(postgres.host)
    table["tenants"]["globex"] = {"role": "tenant_{tenant}", "settings": {"app.tenant_id": "7", "work_mem": "5MB"}}
    table["tenants"]["odd"] = {"schema": None, "search_path": ['a "b" c', "tenant_soylent", "public"],
                               "settings": {"app.tenant_id": r"a b\c 'd'", "application_name": "x"}}
    return start_lodge(table)


@pytest.mark.parametrize("resets", [
    ["RESET ALL"],
    ["DISCARD ALL"],
    ["RESET search_path", "RESET app.tenant_id", "RESET work_mem"],
    ["SET search_path TO DEFAULT", "SET app.tenant_id TO DEFAULT", "SET work_mem TO DEFAULT"],
])
def test_reset_comes_back_to_the_route(lodge, resets):
    with lodge.login("trusted.globex") as session:
        assert session.rows(STATE) == [OURS]
        for statement in ("SET search_path TO public", "SET app.tenant_id TO '8'", "SET work_mem TO '9MB'"):
            session.rows(statement)
        assert session.rows(STATE) != [OURS]
        for statement in resets:
            session.rows(statement)
        assert session.rows(STATE) == [OURS]


@pytest.mark.parametrize("reset", [
    "RESET ROLE", "SET ROLE TO DEFAULT", "SET SESSION AUTHORIZATION DEFAULT", "DISCARD ALL",
])
def test_the_role_comes_back_likewise(lodge, reset):
    with lodge.login("trusted.globex") as session:
        session.rows("SET ROLE tenant_soylent")
        session.rows(reset)
        assert session.value("SELECT current_user") == "tenant_globex"


def test_odd_names_and_values_arrive_unharmed(lodge):
    with lodge.login("trusted.odd") as session:
        assert session.rows("SELECT current_setting('search_path'), current_setting('app.tenant_id')") == [
            ('"a ""b"" c", "tenant_soylent", "public"', r"a b\c 'd'")]
        assert session.value("SELECT name FROM whoami") == "soylent"
        assert session.value("SHOW application_name") == "x"


def test_the_client_keeps_its_own_settings(lodge):
    with lodge.login("trusted.globex", application_name="my app", options="-c statement_timeout=7s -c geqo=off",
                     DateStyle="SQL, DMY") as session:
        for name, value in (("application_name", "my app"), ("statement_timeout", "7s"), ("geqo", "off"),
                            ("DateStyle", "SQL, DMY")):
            assert session.value(f"SHOW {name}") == value
            session.rows("DISCARD ALL")
            assert session.value(f"SHOW {name}") == value
        assert session.parameters["application_name"] == "my app"


@pytest.mark.parametrize("more", [
    {"search_path": "pg_catalog"},
    {"SEARCH_PATH": "pg_catalog"},
    {"options": "-c search_path=pg_catalog"},
    {"options": "--search-path=pg_catalog --work-mem=1MB"},
    {"options": r"-c search_path=pg_catalog,\ public -c app.tenant_id=666"},
    {"options": "-csearch_path=pg_catalog"},
    {"role": "trusted"},
    {"options": "-c role=none"},
    {"options": "-c session_authorization=app"},
    {"app.tenant_id": "666"},
    {"App.Tenant_Id": "666"},
])
def test_but_not_those_that_are_the_routes(lodge, more):
    with lodge.login("trusted.globex", **more) as session:
        assert session.rows(STATE) == [OURS]


def test_options_that_the_server_cannot_read_either(lodge):
    with pytest.raises(ServerError) as caught:
        lodge.login("trusted.globex", options="-c nonsense")
    assert caught.value.sqlstate == "42601"


def test_a_tenant_by_startup_parameter_can_be_read_back(lodge):
    with lodge.login("trusted", **{"app.tenant": "globex"}) as session:
        assert session.value("SELECT current_setting('app.tenant')") == "globex"


def test_what_the_server_is_sent(start_lodge):
    """User and database without what the hint took, and nothing of the lodge's own."""
    with FakeServer(trusting()) as server:
        table = standard_routes(server.host, pool="session")
        table["databases"]["own"] = {"server": "main"}
        table["tenants"]["plain"] = {"database": "own", "schema": None}
        with start_lodge(table, {"auth": {"method": "trust"}}) as lodge:
            for user, database in (("someone.plain", "crm"), ("someone", "crm@plain"), ("someone.plain", "crm@plain")):
                lodge.login(user, database).close()
            assert server.startups == [{"user": "someone", "database": "crm"}] * 3
            lodge.login("someone.plain", None).close()
            assert server.startups[-1] == {"user": "someone"}
            lodge.login("someone.globex", "crm", application_name="a").close()
            assert server.startups[-1] == {"user": "someone", "database": "saas", "application_name": "a",
                                           "search_path": server.startups[-1]["search_path"]}
            assert server.startups[-1]["search_path"].replace('"', "") == "tenant_globex, public"


def test_a_session_by_another_way_is_not_touched(lodge, postgres):
    """The control: directly, nothing of the route is there."""
    with Wire(("127.0.0.1", postgres.port)) as direct:
        assert direct.login("trusted", "saas").value("SHOW search_path") == '"$user", public'
