"""From what a client says to the tenant's home: hints, patterns, states, and what is refused in which words."""

import socket

import pytest
from lodge import eventually, standard_routes
from wire import ServerError, Wire, startup


@pytest.fixture(scope="module")
def routes(postgres):
    table = standard_routes(postgres.host)
    table["tenants"] |= {
        "hooli": {"state": "suspended", "message": "account hooli is suspended: call billing"},
        "picky": {"schema": "tenant_globex", "users": ["app", "trusted"]},
        "frozen": {"schema": "tenant_globex", "state": "read_only"},
        "trial-*": {"schema": "tenant_globex"},
        "trial-gold-*": {"schema": "tenant_soylent"},
        "trial-gold-1": {"database": "acme", "schema": None},
    }
    return table


@pytest.fixture(scope="module")
def lodge(start_lodge, routes):
    return start_lodge(routes)


def whoami(lodge, user, database="crm", **more):
    with lodge.login(user, database, **more) as session:
        return session.value("SELECT name FROM whoami")


def refused(lodge, user, database="crm", **more):
    with pytest.raises(ServerError) as caught:
        lodge.login(user, database, **more).close()
    assert caught.value.severity == "FATAL"
    return caught.value


@pytest.mark.parametrize("user, database, more, tenant", [
    ("trusted.globex", "crm", {}, "globex"),
    ("trusted.soylent", "crm", {}, "soylent"),
    ("trusted.acme", "crm", {}, "acme"),
    ("trusted.umbrella", "crm", {}, "crm_umbrella"),
    ("trusted", "crm@globex", {}, "globex"),
    ("trusted", "crm", {"options": "-c app.tenant=soylent"}, "soylent"),
    ("trusted", "crm", {"options": "--app.tenant=soylent"}, "soylent"),
    ("trusted", "crm", {"app.tenant": "acme"}, "acme"),
    ("trusted.globex", "crm@globex", {"app.tenant": "globex"}, "globex"),
    ("trusted.globex", None, {}, "globex"),
    ("trusted.trial-1", "crm", {}, "globex"),
    ("trusted.trial-gold-2", "crm", {}, "soylent"),
    ("trusted.trial-gold-1", "crm", {}, "acme"),
])
def test_a_hint_leads_home(lodge, user, database, more, tenant):
    assert whoami(lodge, user, database, **more) == tenant


def test_rows_of_shared_tables(lodge):
    with lodge.login("trusted.initech") as session:
        assert session.rows("SELECT note FROM notes") == [("of initech",)]


def test_by_unix_socket(lodge):
    with Wire(lodge.unix_path) as session:
        assert session.login("trusted.globex", "crm").value("SELECT name FROM whoami") == "globex"


@pytest.mark.parametrize("user, database, more", [
    ("trusted.globex", "crm@soylent", {}),
    ("trusted.globex", "crm", {"options": "-c app.tenant=soylent"}),
    ("trusted", "crm@globex", {"app.tenant": "soylent"}),
])
def test_hints_that_disagree(lodge, user, database, more):
    assert refused(lodge, user, database, **more).sqlstate == "28000"


@pytest.mark.parametrize("tenant", ["", "no such", "../etc", "a" * 64, 'x"; DROP', "-dash", "gl\u00f6bex"])
def test_an_id_that_is_none(lodge, tenant):
    assert refused(lodge, "trusted", "crm", **{"app.tenant": tenant}).sqlstate in ("3D000", "28000")


def test_an_unknown_tenant(lodge):
    error = refused(lodge, "trusted.nobody")
    assert error.sqlstate == "3D000"
    assert "nobody" in error.message


def test_no_tenant_is_refused(lodge):
    assert refused(lodge, "trusted").sqlstate == "28000"


def test_a_suspended_tenant(lodge):
    error = refused(lodge, "trusted.hooli")
    assert error.sqlstate == "57P03"
    assert "account hooli is suspended: call billing" in error.message


def test_only_some_roles(lodge):
    assert whoami(lodge, "trusted.picky") == "globex"
    assert refused(lodge, "intruder.picky").sqlstate == "28000"


def test_read_only(lodge):
    with lodge.login("trusted.frozen") as session:
        assert session.value("SELECT name FROM whoami") == "globex"
        with pytest.raises(ServerError) as caught:
            session.rows("CREATE TABLE more (x int)")
        assert caught.value.sqlstate == "25006"


def test_errors_of_the_server_come_as_they_are(lodge, postgres):
    with Wire(("127.0.0.1", postgres.port)) as direct:
        direct.send(startup({"user": "nosuchrole", "database": "acme"}))
        told = direct.refusal(after=b"R")
    with lodge.wire() as wire:
        wire.send(startup({"user": "nosuchrole.acme", "database": "crm"}))
        assert wire.refusal(after=b"R").fields == told.fields


def test_unknown_tenants_by_default(start_lodge, routes):
    table = {**routes, "unknown_tenants": "default", "defaults": {"database": "acme"}}
    with start_lodge(table) as lodge:
        assert whoami(lodge, "trusted.anybody") == "acme"
        assert refused(lodge, "trusted.no such").sqlstate in ("3D000", "28000")


def test_no_tenant_has_a_route(start_lodge, routes):
    table = {**routes, "no_tenant": {"action": "route", "route": {"database": "acme"}}}
    with start_lodge(table) as lodge:
        assert whoami(lodge, "trusted") == "acme"


def test_templates_with_their_captures_anywhere(start_lodge, postgres):
    table = standard_routes(postgres.host)
    table["hints"] = [{"user": "{tenant}/{role}"}, {"database": "t-{tenant}-{dbname}"}]
    table["databases"]["own"] = {"server": "main"}
    table["tenants"]["plain"] = {"database": "own", "schema": None}
    with start_lodge(table) as lodge:
        assert whoami(lodge, "globex/trusted") == "globex"
        assert whoami(lodge, "trusted", "t-soylent-crm") == "soylent"
        with lodge.login("trusted", "t-plain-acme") as session:  # what the hint took is gone, the rest is the client's
            assert session.rows("SELECT current_database(), session_user") == [("acme", "trusted")]


def held(routes, **limits):
    return {**routes, "tenants": {**routes["tenants"], "globex": {"state": "held", "limits": limits}}}


def test_a_held_tenant_is_released_by_a_reload(start_lodge, routes):
    with start_lodge(held(routes, wait="30s")) as lodge:
        with lodge.wire() as waiting:
            waiting.send(startup({"user": "trusted.globex", "database": "crm"}))
            # Somebody else comes and goes meanwhile, so the one who waits has been seen.
            assert whoami(lodge, "trusted.soylent") == "soylent"
            waiting.socket.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.read()
            waiting.socket.settimeout(15)
            assert "reloaded (" in lodge.reload(routes)
            waiting.until(b"Z")
            assert waiting.value("SELECT name FROM whoami") == "globex"


def test_a_held_tenant_is_not_released(start_lodge, routes):
    with start_lodge(held(routes, wait="300ms")) as lodge:
        error = refused(lodge, "trusted.globex")
        assert error.sqlstate == "53400"
        assert "globex" in error.message


def test_who_waits_for_a_held_tenant_may_leave(start_lodge, routes):
    with start_lodge(held(routes, wait="60s")) as lodge:
        with lodge.wire() as waiting:
            waiting.send(startup({"user": "trusted.globex", "database": "crm"}))
            eventually(lambda: lodge.descriptors() > lodge.descriptors_before, "the session is there")
        # Its descriptor goes: Lodge.finish looks.


def test_by_ip_version_6(start_lodge, routes):
    try:
        probe = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = probe.getsockname()[1]
    probe.close()
    with start_lodge(routes, {"listen": [{"address": f"[::1]:{port}"}]}), Wire(("::1", port)) as session:
        assert session.login("trusted.globex", "crm").value("SELECT name FROM whoami") == "globex"
