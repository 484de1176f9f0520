"""import-pgbouncer: what it writes passes check and serves; what it says; what it refuses. Exit codes: 0, 1, 2."""

import re
import stat
import subprocess

import psycopg2
import pytest
from cluster import free_port
from lodge import eventually

INI = """\
; two databases, and whatever else
[databases]
crm = host=pg1.internal port=5433 dbname=crm_live pool_size=7
shop = host=pg2.internal user=shopkeeper password='it''s secret' connect_query='SELECT 1'
* = host=pg3.internal

[users]
app = pool_mode=session max_user_client_connections=20

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
auth_file = users.txt
pool_mode = transaction
server_reset_query = DISCARD ALL
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
defualt_pool_size = 20
"""


@pytest.fixture
def pglodge(binary, tmp_path):
    """pglodge(*arguments) -> the finished process, started beside INI and its users file."""
    (tmp_path / "pgbouncer.ini").write_text(INI)
    (tmp_path / "users.txt").write_text('"app" "app\'s own"\n')
    (tmp_path / "users.txt").chmod(0o600)

    def run(*arguments):
        return subprocess.run([binary, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    run.folder = tmp_path
    return run


def told(done):
    """The lines of standard error by their place and setting."""
    return dict(re.findall(r"^(\S+?:\d+: [^:]+): (.*)$", done.stderr, re.MULTILINE))


def test_what_it_writes_passes_check(pglodge):
    (pglodge.folder / "new").mkdir()
    done = pglodge("import-pgbouncer", "pgbouncer.ini", "-o", "new")
    assert done.returncode == 0, done.stderr
    assert sorted(file.name for file in (pglodge.folder / "new").iterdir()) == [
        "pg2.internal-shopkeeper.password", "pglodge.yaml", "routes.yaml"]
    checked = pglodge("check", "-c", "new/pglodge.yaml")
    assert checked.returncode == 0, checked.stderr
    assert "2 tenants, 1 patterns" in checked.stdout

    crm = pglodge("route", "-c", "new/pglodge.yaml", "postgres://app@lodge/crm")
    assert crm.returncode == 0, crm.stderr
    assert "crm_live" in crm.stdout and "pg1.internal:5433" in crm.stdout
    shop = pglodge("route", "-c", "new/pglodge.yaml", "postgres://app@lodge/shop")
    assert "shopkeeper" in shop.stdout
    assert "resources: { clients: 500 }" in (pglodge.folder / "new/pglodge.yaml").read_text()
    assert "app: { limits: { clients: 20 } }" in (pglodge.folder / "new/routes.yaml").read_text()
    other = pglodge("route", "-c", "new/pglodge.yaml", "postgres://app@lodge/other")
    assert "pg3.internal" in other.stdout and "other" in other.stdout


def test_what_it_says(pglodge):
    said = told(pglodge("import-pgbouncer", "pgbouncer.ini"))
    assert said["pgbouncer.ini:4: databases.shop.connect_query"].startswith("not carried over")
    assert said["pgbouncer.ini:8: users.app.pool_mode"].startswith("not carried over")
    assert said["pgbouncer.ini:16: server_reset_query"].startswith("not needed")
    assert "pgbouncer.ini:17: max_client_conn" not in said
    assert said["pgbouncer.ini:18: ignore_startup_parameters"].startswith("not needed")
    assert 'did you mean "default_pool_size"?' in said['pgbouncer.ini:19: "defualt_pool_size"']
    assert "pgbouncer.ini:15: pool_mode" not in said


def test_passwords_are_in_files_of_their_own_and_nowhere_else(pglodge):
    done = pglodge("import-pgbouncer", "pgbouncer.ini")
    assert done.returncode == 0
    file = pglodge.folder / "pg2.internal-shopkeeper.password"
    assert file.read_text() == "it's secret\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shown = pglodge("import-pgbouncer", "pgbouncer.ini", "--stdout")
    assert "pg2.internal-shopkeeper.password is not shown" in shown.stderr
    everything = [done.stdout, done.stderr, shown.stdout, shown.stderr,
                  *((pglodge.folder / name).read_text() for name in ("pglodge.yaml", "routes.yaml"))]
    assert not [text for text in everything if "secret\n" in text or "it's" in text or "own" in text.split()]


def test_a_password_from_the_users_file(pglodge):
    (pglodge.folder / "pgbouncer.ini").write_text("[databases]\ncrm = host=pg1 user=app\n[pgbouncer]\nauth_file = users.txt\n")
    assert pglodge("import-pgbouncer", "pgbouncer.ini").returncode == 0
    assert (pglodge.folder / "pg1-app.password").read_text() == "app's own\n"


def test_to_standard_output(pglodge):
    before = sorted(pglodge.folder.iterdir())
    done = pglodge("import-pgbouncer", "pgbouncer.ini", "--stdout")
    assert done.returncode == 0
    assert "listen:\n" in done.stdout and "tenants:\n" in done.stdout
    assert sorted(pglodge.folder.iterdir()) == before


@pytest.mark.parametrize("name", ["pglodge.yaml", "routes.yaml", "pg2.internal-shopkeeper.password"])
def test_nothing_is_overwritten(pglodge, name):
    (pglodge.folder / name).write_text("mine")
    before = sorted(pglodge.folder.iterdir())
    done = pglodge("import-pgbouncer", "pgbouncer.ini")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{name} exists already" in done.stderr
    assert (pglodge.folder / name).read_text() == "mine"
    assert sorted(pglodge.folder.iterdir()) == before


def test_includes_start_from_the_folder_of_the_file(pglodge, binary):
    (pglodge.folder / "more.ini").write_text("hr = host=pg4\n")
    (pglodge.folder / "pgbouncer.ini").write_text("[databases]\n%include more.ini\n[pgbouncer]\nlisten_addr = *\n")
    done = subprocess.run([binary, "import-pgbouncer", pglodge.folder / "pgbouncer.ini", "--stdout"], cwd="/",
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "hr: {" in done.stdout


def test_a_users_file_that_the_lodge_would_not_take(pglodge):
    (pglodge.folder / "users.txt").write_text('# people\n"app" "secret"\n')
    done = pglodge("import-pgbouncer", "pgbouncer.ini")
    assert done.returncode == 0
    assert "users.txt:1: " in done.stderr
    assert "more strictly" in done.stderr


@pytest.mark.parametrize("text, places", [
    ("[databases]\ncrm = host=a\nnonsense\n[pgbouncer\n", ["3", "4"]),
    ("[databases]\ncrm = host='a\nshop = port=a\n[pgbouncer]\npool_mode = fast\nlisten_port = x\n", ["2", "3", "5", "6"]),
    ("[databases]\ncrm = host=a\n[pgbouncer]\nlisten_addr = *\nclient_tls_sslmode = require\n", ["5", "5"]),
    ("[databases]\ncrm = host=a\n%include nothing.ini\n", ["3"]),
])
def test_bad_input(pglodge, text, places):
    (pglodge.folder / "pgbouncer.ini").write_text(text)
    done = pglodge("import-pgbouncer", "pgbouncer.ini")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.findall(r"^pgbouncer\.ini:(\d+): ", done.stderr, re.MULTILINE) == places
    assert "nothing was written" in done.stderr
    assert not (pglodge.folder / "pglodge.yaml").exists()


def test_without_a_file_or_a_folder(pglodge):
    missing = pglodge("import-pgbouncer", "none.ini")
    assert missing.returncode == 1
    assert "none.ini" in missing.stderr
    no_folder = pglodge("import-pgbouncer", "pgbouncer.ini", "-o", "none")
    assert no_folder.returncode == 1
    assert "the folder none does not exist; make it" in no_folder.stderr


@pytest.mark.parametrize("arguments", [[], ["a", "b"], ["a", "--stdout", "-o", "."], ["a", "-o"], ["a", "--format=json"]])
def test_bad_usage(pglodge, arguments):
    done = pglodge("import-pgbouncer", *arguments)
    assert done.returncode == 2
    assert "--help" in done.stderr


def test_what_it_writes_serves(pglodge, binary, postgres):
    """One database under another name, and one that nobody has named, as whoever logs in and as a user of the entry."""
    host, port = postgres.host.rsplit(":", 1)
    ours = free_port()
    (pglodge.folder / "pgbouncer.ini").write_text(
        f"[databases]\nours = host={host} port={port} dbname=postgres user=trusted timezone=Asia/Tokyo\n"
        f"* = host={host} port={port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {ours}\nunix_socket_dir =\n"
        "auth_type = trust\npool_mode = transaction\n")
    done = pglodge("import-pgbouncer", "pgbouncer.ini")
    assert done.returncode == 0, done.stderr
    with open(pglodge.folder / "log", "wb") as log, \
            subprocess.Popen([binary, "serve", "-c", pglodge.folder / "pglodge.yaml"], stderr=log) as lodge:
        try:
            def connect(database):
                try:
                    return psycopg2.connect(host="127.0.0.1", port=ours, user="trusted", dbname=database)
                except psycopg2.OperationalError as error:
                    if "Connection refused" in str(error):
                        return None
                    raise
            begun = eventually(lambda: connect("ours"), "it serves")
            for connection, expected in [(begun, ("postgres", "trusted", "Asia/Tokyo")), (connect("saas"), ("saas", "trusted", None))]:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT current_database(), current_user, current_setting('timezone')")
                    found = cursor.fetchone()
                connection.close()
                assert found[:2] == expected[:2]
                assert expected[2] in (None, found[2])
            with pytest.raises(psycopg2.OperationalError, match="nowhere"):
                connect("nowhere")
        finally:
            lodge.terminate()
        assert lodge.wait(timeout=30) == 0
