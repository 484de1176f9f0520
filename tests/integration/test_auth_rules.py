"""auth.rules: by address, database, role, tenant and encryption; the first that fits decides."""

import hashlib
import ssl

import psycopg2
import pytest
import scram
from certificates import key_of
from cluster import PASSWORD, free_port
from lodge import standard_routes
from scram import CLEARTEXT, SASL, SASL_FINAL, Scram, question
from wire import ServerError, Wire, startup


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    file = tmp_path_factory.mktemp("users") / "users.txt"
    file.write_text(f'"trusted" "{scram.secret(PASSWORD)}"\n')
    file.chmod(0o600)
    return str(file)


def verdict(wire, user="trusted", database="crm@globex"):
    """What the lodge wants: the kind of the first authentication request, "in", or an SQLSTATE."""
    wire.send(startup({"user": user, "database": database}))
    kind, body = wire.until(b"R", b"E")[-1]
    if kind == b"E":
        return body.split(b"\0C", 1)[1][:5].decode()
    return int.from_bytes(body[:4], "big") or "in"


RULES = [
    {"address": "unix", "role": "trusted", "tenant": "soylent", "method": "reject"},
    {"address": "unix", "method": "trust"},
    {"database": "billing", "method": "reject"},
    {"role": "intruder", "method": "reject"},
    {"address": "127.0.0.0/8", "tenant": "so*", "method": "password"},
    {"address": "10.0.0.0/8", "method": "trust"},
    {"tls": False, "address": "127.0.0.1", "tenant": "globex", "method": "scram-sha-256"},
    {"address": "0.0.0.0/0", "method": "trust"},
]


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres, users):
    daemon = {"auth": {"method": "password", "users": users, "rules": RULES}}
    return start_lodge(standard_routes(postgres.host), daemon)


@pytest.mark.parametrize("over, user, database, wanted", [
    ("unix", "trusted", "crm@globex", "in"),
    ("unix", "trusted", "crm@soylent", "28000"),
    ("unix", "intruder", "crm@globex", "in"),
    ("tcp", "trusted", "billing@globex", "28000"),
    ("tcp", "intruder", "crm@globex", "28000"),
    ("tcp", "trusted", "crm@soylent", CLEARTEXT),
    ("tcp", "trusted", "crm@globex", SASL),
    ("tcp", "trusted", "crm@initech", "in"),
])
def test_the_first_rule_that_fits(lodge, over, user, database, wanted):
    with Wire(lodge.unix_path) if over == "unix" else lodge.wire() as wire:
        assert verdict(wire, user, database) == wanted


def test_where_no_rule_fits_the_method_holds(start_lodge, postgres, users):
    daemon = {"auth": {"method": "scram-sha-256", "users": users,
                       "rules": [{"address": "192.0.2.0/24", "method": "trust"}]}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, lodge.wire() as wire:
        assert verdict(wire) == SASL


def test_a_reload_brings_new_rules(start_lodge, postgres, users):
    daemon = {"auth": {"method": "scram-sha-256", "users": users}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        with lodge.wire() as wire:
            assert verdict(wire) == SASL
        since = lodge.mark()
        text = lodge.config.read_text()
        lodge.config.write_text(text.replace("auth:\n", "auth:\n  rules: [{ method: reject }]\n"))
        lodge.wait_for_log("reloaded (", since=since)
        with lodge.wire() as wire:
            assert verdict(wire) == "28000"


# A session that changes its tenant.

LATER = [
    {"tenant": "soylent", "method": "reject"},
    {"tenant": "acme", "method": "scram-sha-256"},
    {"tenant": "umbrella", "method": "cert"},
    {"role": "app", "method": "scram-sha-256"},
]


def later_routes(postgres):
    table = standard_routes(postgres.host)
    return table | {"hints": [*table["hints"], {"variable": "app.tenant"}], "no_tenant": {"action": "wait"}}


@pytest.fixture(scope="module")
def later(start_lodge, postgres, tmp_path_factory):
    file = tmp_path_factory.mktemp("users") / "users.txt"
    file.write_text(f'"app" "{PASSWORD}"\n')
    file.chmod(0o600)
    return start_lodge(later_routes(postgres), {"auth": {"method": "trust", "users": str(file), "rules": LATER}})


def error_of(wire, sql):
    with pytest.raises(ServerError) as caught:
        wire.rows(sql)
    return caught.value.severity, caught.value.sqlstate


@pytest.mark.parametrize("database", ["crm@globex", "crm"])
@pytest.mark.parametrize("naming", ["SET app.tenant = '{}'", "SELECT set_config('app.tenant', '{}', false)"])
def test_who_changes_its_tenant_must_have_passed_what_the_rules_ask_for_there(later, database, naming):
    with later.login("trusted", database) as session:
        for tenant in ("soylent", "acme", "umbrella"):
            assert error_of(session, naming.format(tenant)) == ("ERROR", "28000")
        for tenant in ("globex", "initech", "globex"):
            session.rows(naming.format(tenant))
        assert session.value("SELECT name FROM whoami") == "globex"
        assert error_of(session, naming.format("soylent")) == ("ERROR", "28000")
        assert session.value("SELECT name FROM whoami") == "globex"
        session.rows("RESET app.tenant")
    later.wait_for_log("may not change to tenant \"acme\": it has passed trust, and auth.rules[1] asks for scram-sha-256")


def test_a_tenant_that_asks_for_no_more_than_was_passed(later):
    connection = later.connect("app", "crm@globex", password=PASSWORD)
    with connection.cursor() as cursor:
        cursor.execute("SET app.tenant = 'acme'")
        cursor.execute("SELECT name FROM whoami")
        assert cursor.fetchone() == ("acme",)
        with pytest.raises(psycopg2.OperationalError, match="the lodge's rules refuse"):
            cursor.execute("SET app.tenant = 'soylent'")
    connection.close()


def test_a_session_goes_on_by_what_it_has_passed(start_lodge, postgres):
    with start_lodge(later_routes(postgres), {"auth": {"method": "trust"}}) as lodge, lodge.login("trusted", "crm@globex") as session:
        session.rows("SET app.tenant = 'soylent'")
        since = lodge.mark()
        text = lodge.config.read_text()
        lodge.config.write_text(text.replace("auth:\n", "auth:\n  rules: [{ tenant: '*', method: reject }]\n"))
        lodge.wait_for_log("reloaded (", since=since)
        assert session.value("SELECT name FROM whoami") == "soylent"
        assert error_of(session, "SET app.tenant = 'initech'") == ("ERROR", "28000")
        assert session.value("SELECT name FROM whoami") == "soylent"


# The console's own.

def test_a_rule_for_the_console_is_for_nothing_else(start_lodge, postgres, users):
    daemon = {"auth": {"method": "scram-sha-256", "users": users, "rules": [{"database": "pglodge", "method": "trust"}]},
              "admin": {"users": ["trusted"]}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        for user, database, wanted in (("trusted", "pglodge", "in"), ("trusted", "pglodge@globex", SASL),
                                       ("trusted.globex", "crm", SASL), ("pglodge.globex", "", SASL)):
            with lodge.wire() as wire:
                wire.send(startup({"user": user, **({"database": database} if database else {})}))
                kind, body = wire.until(b"R", b"E")[-1]
                assert (kind, int.from_bytes(body[:4], "big") or "in") == (b"R", wanted), (user, database)


# Over TLS.

@pytest.fixture(scope="module")
def tls_lodge(start_lodge, postgres, users):
    certificate = postgres.authority.issue("lodge", "lodge", hosts=["localhost", "127.0.0.1"])
    port = free_port()
    tls = {"mode": "allow", "certificate": str(certificate), "key": str(key_of(certificate)),
           "client_ca": str(postgres.authority.file)}
    rules = [{"tls": True, "role": "intruder", "method": "cert"}, {"tls": False, "method": "reject"}]
    lodge = start_lodge(standard_routes(postgres.host),
                        {"listen": [{"address": f"127.0.0.1:{port}", "tls": tls}],
                         "auth": {"method": "scram-sha-256", "users": users, "rules": rules}})
    lodge.port = port
    return lodge


@pytest.fixture
def secure(tls_lodge, postgres):
    context = ssl.create_default_context(cafile=postgres.authority.file)
    with tls_lodge.wire() as wire:
        yield wire.start_tls(context, "localhost")


def end_point_of(wire):
    return hashlib.sha256(wire.socket.getpeercert(True)).digest()


def test_plain_text_is_what_the_rule_says(tls_lodge):
    with tls_lodge.wire() as wire:
        assert verdict(wire) == "28000"


def begin(wire):
    wire.send(startup({"user": "trusted", "database": "crm@globex"}))
    return wire


def test_channel_binding(secure):
    Scram(PASSWORD, end_point_of(begin(secure))).run(secure)
    assert question(secure)[0] == SASL_FINAL
    secure.until(b"Z")


def test_a_client_that_does_not_bind(secure):
    Scram(PASSWORD).run(begin(secure))
    assert question(secure)[0] == SASL_FINAL


def test_wrong_channel_binding(secure):
    Scram(PASSWORD, b"x" * 32).run(begin(secure))
    assert secure.refusal().sqlstate == "28000"


def test_a_client_that_was_made_to_believe_that_there_is_no_binding(secure):
    begin(secure)
    assert b"SCRAM-SHA-256-PLUS\0" in question(secure)[1]
    secure.send(Scram(PASSWORD, header=b"y,,").first())
    assert secure.refusal().sqlstate == "28000"


def test_libpq_that_requires_channel_binding(tls_lodge, postgres):
    psycopg2.connect(host="127.0.0.1", port=tls_lodge.port, user="trusted", dbname="crm@globex", password=PASSWORD,
                     sslmode="verify-full", sslrootcert=str(postgres.authority.file), channel_binding="require").close()


@pytest.mark.parametrize("name, wanted", [("intruder", "in"), ("another", "28000"), (None, "28000")])
def test_cert(tls_lodge, postgres, name, wanted):
    context = ssl.create_default_context(cafile=postgres.authority.file)
    if name:
        certificate = postgres.authority.issue(f"client_{name}", name)
        context.load_cert_chain(certificate, key_of(certificate))
    with tls_lodge.wire() as wire:
        wire.start_tls(context, "localhost")
        assert verdict(wire, "intruder") == wanted
