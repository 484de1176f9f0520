"""check, route, --version, --help and what is said about bad usage. Exit codes: 0 done, 1 failed, 2 bad usage."""

import re
import socket
import subprocess

import pytest
import yaml
from cluster import free_port
from lodge import standard_routes


@pytest.fixture
def pglodge(binary, tmp_path):
    """pglodge(*arguments) -> the finished process, started beside a good pair of files."""
    table = standard_routes("db.internal:5432")
    table["tenants"]["hooli"] = {"state": "suspended", "message": "call billing"}
    table["tenants"]["trial-*"] = {"users": ["app"]}
    (tmp_path / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    (tmp_path / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n"
                                           "auth: { method: passthrough }\n")

    def run(*arguments):
        return subprocess.run([binary, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    run.folder = tmp_path
    return run


def test_check(pglodge):
    done = pglodge("check", "-c", "pglodge.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "6 tenant" in done.stdout


def test_check_from_another_folder(pglodge, binary):
    done = subprocess.run([binary, "check", "-c", pglodge.folder / "pglodge.yaml"], cwd="/", capture_output=True, check=False)
    assert done.returncode == 0


def test_check_shows_every_error(pglodge):
    (pglodge.folder / "routes.yaml").write_text(
        "servers:\n"
        "  main: { hosts: [db.internal], max_conections: 5 }\n"
        "databases:\n"
        "  shared: { server: mian }\n"
        "defaults: { database: shared }\n"
        "tenants:\n"
        "  'no good': {}\n"
        "  fine: { state: sleeping }\n")
    (pglodge.folder / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\nwrokers: 2\n")
    done = pglodge("check", "-c", "pglodge.yaml")
    assert done.returncode == 1
    told = done.stdout + done.stderr
    places = re.findall(r"^(?:\S*/)?((?:routes|pglodge)\.yaml:\d+:\d+): ", told, re.MULTILINE)
    assert sorted(places) == ["pglodge.yaml:3:1", "routes.yaml:2:33", "routes.yaml:4:21", "routes.yaml:7:3", "routes.yaml:8:18"]
    assert 'did you mean "workers"?' in told
    assert 'did you mean "max_connections"?' in told


def test_check_reads_what_the_files_name(pglodge):
    """What passes is what the daemon starts with, and reloads."""
    table = standard_routes("db.internal:5432")
    table["servers"]["main"] |= {"user": "pool", "password_file": "no.password", "tls": {"mode": "verify-full", "ca": "no-ca.crt"}}
    (pglodge.folder / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    (pglodge.folder / "pglodge.yaml").write_text(
        "listen: [{ address: 127.0.0.1:6432, tls: { mode: allow, certificate: no.crt, key: no.key } }]\n"
        "routes: routes.yaml\nauth: { method: scram-sha-256, users: no-users.txt }\n")
    done = pglodge("check", "-c", "pglodge.yaml")
    assert done.returncode == 1
    assert "4 error(s)" in done.stderr
    lines = done.stderr.splitlines()
    for name in ("no.password", "no-ca.crt", "no.crt", "no-users.txt"):
        assert [line for line in lines if name in line and "No such file or directory" in line], done.stderr
    (pglodge.folder / "no.crt").write_text("nonsense")
    assert "No such file" not in next(line for line in pglodge("check", "-c", "pglodge.yaml").stderr.splitlines() if "no.crt" in line)


@pytest.mark.parametrize("listen, more", [
    ("{ address: 127.0.0.1:PORT }, { address: '*:PORT' }", ""),
    ("{ address: 127.0.0.1:PORT }, { address: 0.0.0.0:PORT }", ""),
    ("{ address: 127.0.0.1:PORT }", "admin: { http: 127.0.0.1:PORT }\n"),
    ("{ unix: missing }", ""),
])
def test_check_refuses_where_serve_could_not_listen(pglodge, listen, more):
    text = f"listen: [{listen}]\nroutes: routes.yaml\n{more}".replace("PORT", str(free_port()))
    (pglodge.folder / "pglodge.yaml").write_text(text)
    done = pglodge("check", "-c", "pglodge.yaml")
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    assert "listen" in done.stderr and "1 error(s)" in done.stderr
    assert pglodge("serve", "-c", "pglodge.yaml").returncode == 1


def test_check_warns_of_folders(pglodge):
    """The one below /run is made by whoever starts the service; the other one's lack does not keep it from serving."""
    (pglodge.folder / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }, { unix: /run/no-such-lodge }]\n"
                                                 "routes: routes.yaml\nusage: { ledger: missing }\n")
    done = pglodge("check", "-c", "pglodge.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert 'warning: listen: there is no folder "/run/no-such-lodge"' in done.stdout
    assert f'warning: usage.ledger: there is no folder "{pglodge.folder}/missing"' in done.stdout
    (pglodge.folder / "missing").mkdir()
    assert "usage.ledger" not in pglodge("check", "-c", "pglodge.yaml").stdout


def test_check_refuses_passthrough_to_a_server_that_knows_the_lodge(pglodge):
    table = standard_routes("db.internal:5432")
    table["servers"]["main"]["user"] = "pool"
    (pglodge.folder / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    done = pglodge("check", "-c", "pglodge.yaml")
    assert done.returncode == 1
    assert "pglodge.yaml:3:17: auth.method: passthrough" in done.stderr and "servers.main.user" in done.stderr


def test_check_warns_of_what_can_let_nobody_in(pglodge):
    (pglodge.folder / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n"
                                                 "auth: { method: cert }\n")
    done = pglodge("check", "-c", "pglodge.yaml")
    assert done.returncode == 0
    assert "pglodge.yaml:3:7: auth: the method cert lets nobody in" in done.stdout


def test_check_warns_where_the_guard_watches_nobody(pglodge):
    """Who comes by passthrough has a connection of its own."""
    warning = 'warning: auth: tenants share the database entry "shared", and the guard does not watch'
    done = pglodge("check", "-c", "pglodge.yaml")
    assert (done.returncode, done.stdout.count(warning)) == (0, 1), done.stdout
    table = standard_routes("db.internal:5432")
    table["defaults"]["guard"] = False
    (pglodge.folder / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    assert warning not in pglodge("check", "-c", "pglodge.yaml").stdout
    table["defaults"].pop("guard")
    (pglodge.folder / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    file = pglodge.folder / "pglodge.yaml"
    file.write_text(file.read_text().replace("passthrough", "trust"))
    assert warning not in pglodge("check", "-c", "pglodge.yaml").stdout


@pytest.mark.parametrize("word, meant", [("chek", 'did you mean "check"?'), ("frobnicate", "write serve, check, route,")])
def test_a_command_that_there_is_not(pglodge, word, meant):
    done = pglodge(word, "-c", "pglodge.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert f'there is no command "{word}"; {meant}' in done.stderr


def test_route_says_what_is_in_force_by_passthrough(pglodge):
    file = pglodge.folder / "pglodge.yaml"
    told = pglodge("route", "-c", "pglodge.yaml", "globex").stdout
    assert "pool:         a connection of its own (passthrough)\n" in told
    assert "guard:        on, but nobody watches" in told
    file.write_text(file.read_text().replace("passthrough", "trust"))
    assert "pool:         transaction\nguard:        on\n" in pglodge("route", "-c", "pglodge.yaml", "globex").stdout


@pytest.mark.parametrize("file", ["pglodge.yaml", "routes.yaml"])
def test_check_without_a_file(pglodge, file):
    (pglodge.folder / file).unlink()
    done = pglodge("check", "-c", "pglodge.yaml")
    assert done.returncode == 1
    assert file[:6] in done.stdout + done.stderr      # a long path is cut


def test_serve_refuses_what_check_refuses(pglodge):
    (pglodge.folder / "routes.yaml").write_text("tenants: 5\n")
    done = pglodge("serve", "-c", "pglodge.yaml")
    assert done.returncode == 1
    assert "routes.yaml:1:10" in done.stderr


def test_serve_where_somebody_listens_already(pglodge):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (pglodge.folder / "pglodge.yaml").write_text(f"listen: [{{ address: {address} }}]\nroutes: routes.yaml\n")
        done = pglodge("serve", "-c", "pglodge.yaml")
        assert done.returncode == 1
        assert address in done.stderr


@pytest.mark.parametrize("subject, words", [
    ("postgres://app.globex@lodge/crm", ["globex", "tenant_globex", "saas", "main", "{role}.{tenant}", "app"]),
    ("postgresql://app@lodge:6432/crm%40acme", ["acme", "{dbname}@{tenant}"]),
    ("postgres://app@lodge/crm?options=-c%20app.tenant%3Dumbrella", ["umbrella", "crm_umbrella", "app.tenant"]),
    ("postgres://app.trial-7@lodge/crm", ["trial-7", "tenants.trial-*"]),
    ("globex", ["globex", "tenant_globex", "tenants.globex"]),
    ("umbrella", ["crm_umbrella"]),
])
def test_route(pglodge, subject, words):
    done = pglodge("route", "-c", "pglodge.yaml", subject)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in words:
        assert word in done.stdout


def test_route_by_the_name_of_the_host(pglodge):
    table = standard_routes("db.internal:5432")
    table["hints"] = [{"sni": "{tenant}.DB.example.com"}]
    table["servers"]["main"]["user"] = "pool"
    file = pglodge.folder / "pglodge.yaml"
    file.write_text(file.read_text().replace("passthrough", "trust"))
    (pglodge.folder / "routes.yaml").write_text(yaml.safe_dump(table, sort_keys=False))
    done = pglodge("route", "-c", "pglodge.yaml", "postgres://app@globex.db.example.com/crm")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("^tenant: +globex$", done.stdout, re.MULTILINE)
    assert re.search("^logs in as: +pool$", done.stdout, re.MULTILINE)
    assert re.search("^role: +app$", done.stdout, re.MULTILINE)
    assert "28000" in pglodge("route", "-c", "pglodge.yaml", "postgres://app@127.0.0.1/crm").stdout


@pytest.mark.parametrize("subject, words", [
    ("postgres://app.nobody@lodge/crm", ["nobody", "3D000"]),
    ("postgres://app.globex@lodge/crm@soylent", ["28000"]),
    ("postgres://app@lodge/crm", ["28000"]),
    ("postgres://other.trial-7@lodge/crm", ["28000"]),
    ("postgres://app.hooli@lodge/crm", ["57P03", "call billing"]),
    ("hooli", ["57P03"]),
    ("nobody", ["3D000"]),
])
def test_route_of_what_is_refused(pglodge, subject, words):
    done = pglodge("route", "-c", "pglodge.yaml", subject)
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert told
    for word in words:
        assert word in told


ADMINS = "admin: { users: [root], stats_users: [watcher] }\n"


@pytest.mark.parametrize("subject, more, code, word", [
    ("postgres://root@lodge/pglodge", "auth: { method: trust }\n", 0, "admitted:     yes, to give every command"),
    ("postgres://watcher@lodge/pglodge", "auth: { method: trust }\n", 0, "admitted:     yes, to look only"),
    ("postgres://app.globex@lodge/pglodge", "auth: { method: trust }\n", 1, "28000 user \"app.globex\" may not use the console"),
    ("postgres://root@lodge/pglodge", "", 1, "28000 the console of pglodge cannot authenticate by passthrough"),
])
def test_route_to_the_console(pglodge, subject, more, code, word):
    (pglodge.folder / "pglodge.yaml").write_text("listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n" + ADMINS + more)
    done = pglodge("route", "-c", "pglodge.yaml", subject)
    assert done.returncode == code, done.stdout + done.stderr
    assert "console:      the virtual database pglodge" in done.stdout and word in done.stdout
    assert "tenant:" not in done.stdout


@pytest.mark.parametrize("subject", ["no such id", "http://app.globex@lodge/crm", "postgres://%zz@lodge/crm",
                                     "postgres://app@lodge/crm?nonsense=1", "postgres://app@lodge/crm?options=-c%20x"])
def test_route_of_what_is_neither_url_nor_tenant(pglodge, subject):
    done = pglodge("route", "-c", "pglodge.yaml", subject)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pglodge: ")


def test_version_and_help(pglodge):
    assert re.fullmatch(r"pglodge \d+\.\d+\.\d+\n", pglodge("--version").stdout)
    done = pglodge("--help")
    assert done.returncode == 0
    for word in ("serve", "check", "route", "import-pgbouncer", "usage"):
        assert word in done.stdout


@pytest.mark.parametrize("arguments", [[], ["dance"], ["serve", "--fast"], ["route"], ["check", "-c"], ["check", "one", "two"]])
def test_bad_usage(pglodge, arguments):
    done = pglodge(*arguments)
    assert done.returncode == 2
    assert "--help" in done.stderr
