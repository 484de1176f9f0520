"""Every driver by every method, in plain text and over TLS with verify-full; and what only some of them can."""

import hashlib
import ssl
import subprocess

import pytest
import scram
from certificates import Authority, key_of
from cluster import PASSWORD, free_port
from drivers import PSQL, Refused, Way, drivers
from lodge import standard_routes
from test_auth_query import KEPT, SQL
from wire import startup

DATABASE = "crm@globex"  # under md5 the user's name cannot carry the tenant

# A role for each method. The server trusts them all but `app`, whom it asks for SCRAM by itself.
ROLES = {"scram-sha-256": "drive_scram", "md5": "drive_md5", "password": "drive_password", "trust": "drive_trust",
         "cert": "drive_cert", "passthrough": "app"}
SECRETS = {"drive_scram": scram.secret(PASSWORD), "drive_password": PASSWORD,
           "drive_md5": "md5" + hashlib.md5((PASSWORD + "drive_md5").encode()).hexdigest()}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.folder.parent.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def open_door(start_lodge, authority):
    """open_door(routes, auth) -> a lodge with one door, and TLS for those who want it."""
    certificate = authority.issue("server", "lodge", hosts=["localhost"])

    def start(routes, auth):
        port = free_port()
        tls = {"mode": "allow", "certificate": str(certificate), "key": str(key_of(certificate)), "client_ca": str(authority.file)}
        lodge = start_lodge(routes, {"listen": [{"address": f"127.0.0.1:{port}", "tls": tls}], "auth": auth})
        lodge.port = port
        return lodge
    return start


@pytest.fixture(scope="module")
def open_lodge(open_door, postgres, tmp_path_factory):
    """open_lodge() -> one that asks each role by a method of its own."""
    made = [role for role in ROLES.values() if role != "app"]
    for role in made:
        postgres.value(f"CREATE ROLE {role} LOGIN")
        postgres.value(f"GRANT tenant_globex TO {role}")
    users = tmp_path_factory.mktemp("users") / "users.txt"
    users.write_text("".join(f'"{role}" "{secret}"\n' for role, secret in SECRETS.items()))
    users.chmod(0o600)
    rules = [{"role": role, "method": method} for method, role in ROLES.items()]
    yield lambda: open_door(standard_routes(postgres.host), {"users": str(users), "rules": rules})
    for role in made:
        postgres.value(f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def lodge(open_lodge):
    return open_lodge()


@pytest.fixture
def way(lodge, authority):
    """way(method, tls=...) -> how to get in by it."""
    def by(method, tls=True, **more):
        role = ROLES[method]
        return Way(**{"port": lodge.port, "user": role, "database": DATABASE,
                      "password": None if method in ("cert", "trust") else PASSWORD,
                      "authority": authority.file if tls else None,
                      "certificate": authority.issue(role, role) if method == "cert" else None, **more})
    return by


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
@pytest.mark.parametrize("method", ROLES)
@pytest.mark.parametrize("driver", drivers())
def test_every_driver_by_every_method(way, driver, method, tls):
    if (method, tls) == ("cert", False):
        with pytest.raises(Refused, match="requires a valid client certificate"):
            driver.ask(way(method, tls, certificate=None))
    else:
        assert driver.ask(way(method, tls)) == (ROLES[method], "globex")


@pytest.mark.parametrize("driver", drivers())
def test_a_wrong_password(open_lodge, way, driver):
    """A lodge of its own, where no failures of before delay it."""
    with open_lodge() as lodge:
        for method in ("scram-sha-256", "passthrough"):
            with pytest.raises(Refused, match=f'password authentication failed for user "{ROLES[method]}"'):
                driver.ask(way(method, port=lodge.port, password="wrong"))


@pytest.mark.parametrize("driver", drivers(lambda driver: driver.binds))
def test_channel_binding_that_is_demanded(way, driver):
    assert driver.ask(way("scram-sha-256", bound=True)) == ("drive_scram", "globex")


@pytest.mark.parametrize("method", ["md5", "password", "trust", "cert", "passthrough"])
@pytest.mark.parametrize("driver", drivers(lambda driver: driver.binds and str(driver) != "node"))
def test_channel_binding_that_no_other_method_has(way, driver, method):
    """libpq finds out by itself. node-postgres binds where it can, and demands nothing."""
    with pytest.raises(Refused, match="channel binding"):
        driver.ask(way(method, bound=True))


@pytest.mark.parametrize("method", ROLES)
@pytest.mark.parametrize("driver", drivers(lambda driver: driver.direct))
def test_tls_from_the_first_byte(way, driver, method):
    assert driver.ask(way(method, direct=True)) == (ROLES[method], "globex")


# A server that lets in whom it knows, over TLS, by SCRAM, and nobody else.

@pytest.fixture(scope="module")
def strict(postgres):
    """A routing table to it. pg_hba.conf has it so for app_tls, and for asker."""
    table = standard_routes(postgres.host)
    table["servers"]["main"]["tls"] = {"mode": "verify-full", "ca": str(postgres.authority.file)}
    return table


@pytest.fixture(scope="module")
def asking(open_door, strict, tmp_path_factory):
    """A lodge that knows nobody's password but that of its own role, which may look into pg_authid."""
    users = tmp_path_factory.mktemp("asker") / "users.txt"
    users.write_text('"asker" "asker password"\n')
    users.chmod(0o600)
    query = {"database": "shared", "user": "asker", "sql": SQL}
    lodge = open_door(strict, {"method": "scram-sha-256", "users": str(users), "query": query})
    lodge.descriptors_before += KEPT
    return lodge


def by_tls(lodge, authority, user="app_tls", **more):
    return Way(**{"port": lodge.port, "user": f"{user}.globex", "database": "crm", "password": PASSWORD,
                  "authority": authority.file, **more})


@pytest.mark.parametrize("driver", drivers())
def test_who_is_known_to_the_server_alone_gets_in_and_is_passed_on(asking, authority, driver):
    """By auth.query, and then with the keys that the client's own proof gave; bound to the channel where it can be."""
    assert driver.ask(by_tls(asking, authority, bound=driver.binds or None)) == ("app_tls", "globex")
    assert "asker password" not in asking.log() and PASSWORD not in asking.log()


def test_that_session_is_over_tls_at_both_ends(asking, authority):
    with asking.wire() as wire:
        context = ssl.create_default_context(cafile=authority.file)
        wire.start_tls(context, "localhost").send(startup({"user": "app_tls.globex", "database": "crm"}))
        scram.Scram(PASSWORD).run(wire)
        wire.until(b"Z")
        assert wire.rows("SELECT ssl, session_user FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [("t", "app_tls")]


@pytest.mark.parametrize("user, password", [("app_tls", "wrong"), ("nobody", PASSWORD)])
def test_who_is_not_known_does_not(asking, authority, user, password):
    with pytest.raises(Refused, match=f'password authentication failed for user "{user}"'):
        PSQL.ask(by_tls(asking, authority, user, password=password))


@pytest.mark.parametrize("driver", drivers())
def test_passthrough_over_tls_at_both_ends(open_door, strict, authority, driver):
    """The channels are two, so that nothing can be bound to them; who does not try gets in."""
    with open_door(strict, {"method": "passthrough"}) as lodge:
        assert driver.ask(by_tls(lodge, authority, bound=False)) == ("app_tls", "globex")
        if driver.binds:
            with pytest.raises(Refused, match="channel binding" if str(driver) != "node" else "SCRAM"):
                driver.ask(by_tls(lodge, authority, bound=True))


@pytest.mark.parametrize("how", [["-starttls", "postgres"], ["-alpn", "postgresql"], ["-starttls", "postgres", "-alpn", "postgresql"]])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl(lodge, authority, how, version):
    done = subprocess.run(["openssl", "s_client", *how, version, "-connect", f"localhost:{lodge.port}", "-CAfile", authority.file,
                           "-verify_hostname", "localhost", "-verify_return_error"], input="", capture_output=True, text=True,
                          timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert "Verify return code: 0 (ok)" in done.stdout
    assert ("ALPN protocol: postgresql" in done.stdout) == ("-alpn" in how)
