"""A saved table is in force at once and whole, or not at all; sessions follow when they are between transactions."""

import signal
import subprocess
import time

import pytest
import yaml
from lodge import SANITIZED, standard_routes
from wire import ServerError, message, query


@pytest.fixture
def table(postgres):
    return standard_routes(postgres.host)


@pytest.fixture
def lodge(start_lodge, table):
    with start_lodge(table) as lodge:
        yield lodge


def moved(table):
    """globex goes to the dedicated database of acme."""
    return {**table, "tenants": {**table["tenants"], "globex": {"database": "acme", "schema": None}}}


def whoami(lodge, user="trusted.globex"):
    with lodge.login(user) as session:
        return session.value("SELECT name FROM whoami")


def text(table):
    return yaml.safe_dump(table, sort_keys=False)


def test_saved_by_rename(lodge, table):
    line = lodge.reload(moved(table))
    assert "reloaded (" in line
    assert "globex: database shared -> acme" in line
    assert whoami(lodge) == "acme"


def test_saved_in_place(lodge, table):
    since = lodge.mark()
    lodge.routes_file.write_text(text(moved(table)))
    lodge.wait_for_log("globex: database shared -> acme", since=since)
    assert whoami(lodge) == "acme"


def test_swapped_as_kubernetes_swaps_config_maps(start_lodge, table, tmp_path):
    tmp_path.chmod(0o755)
    for version, content in (("v1", table), ("v2", moved(table))):
        (tmp_path / version).mkdir()
        (tmp_path / version / "routes.yaml").write_text(text(content))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "routes.yaml").symlink_to("..data/routes.yaml")
    with start_lodge(table, {"routes": str(tmp_path / "routes.yaml")}) as lodge:
        assert whoami(lodge) == "globex"
        since = lodge.mark()
        (tmp_path / "..data_tmp").symlink_to("v2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")
        lodge.wait_for_log("globex: database shared -> acme", since=since)
        assert whoami(lodge) == "acme"


def test_sighup(lodge):
    since = lodge.mark()
    lodge.process.send_signal(signal.SIGHUP)
    assert "SIGHUP" in lodge.wait_for_log("reloaded (", since=since)


def test_included_files_come_and_go(start_lodge, table):
    with start_lodge({**table, "include": ["routes.d/*.yaml"]}, folders={"routes.d": {"one.yaml": {}}}) as lodge:
        since = lodge.mark()
        (lodge.folder / "routes.d" / "two.yaml").write_text(text({"tenants": {"newcomer": {"schema": "tenant_globex"}}}))
        lodge.wait_for_log("1 tenant added", since=since)
        assert whoami(lodge, "trusted.newcomer") == "globex"
        since = lodge.mark()
        (lodge.folder / "routes.d" / "two.yaml").unlink()
        lodge.wait_for_log("1 tenant removed", since=since)


def test_the_log_says_what_changed(lodge, table):
    eager = {**table, "servers": {"main": {**table["servers"]["main"], "health_check": "1s"}}}
    assert "server main: health_check changed" in lodge.reload(eager)
    more = {**table, "tenants": {**table["tenants"], "newcomer": {"schema": "tenant_globex"}}}
    assert "1 tenant added (newcomer)" in lodge.reload(more)
    assert whoami(lodge, "trusted.newcomer") == "globex"
    assert "1 tenant removed (newcomer)" in lodge.reload(table)


def test_the_log_says_what_changed_beside_the_routes(start_lodge, table, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text('"app" "secret"\n')
    users.chmod(0o600)
    with start_lodge(table, {"auth": {"method": "trust", "users": str(users)}}) as lodge:
        settings = yaml.safe_load(lodge.config.read_text())
        settings |= {"admin": {"users": ["dba"]}, "timeouts": {"idle": "1h"}}
        since = lodge.mark()
        lodge.config.write_text(text(settings))
        assert lodge.wait_for_log("reloaded (", since=since).endswith("pglodge.yaml: admin, timeouts changed\n")
        since = lodge.mark()
        users.write_text('"app" "another"\n')
        assert lodge.wait_for_log("reloaded (", since=since).endswith(": the users file changed\n")
        since = lodge.mark()
        lodge.process.send_signal(signal.SIGHUP)
        assert lodge.wait_for_log("reloaded (", since=since).endswith(": no change of routes\n")


@pytest.mark.parametrize("bad, where, what", [
    ("tenants:\n  globex: { databse: acme }\n", "routes.yaml:2:13: ", "did you mean"),
    ("tenants: [\n", "routes.yaml:", ""),
    ("\tnonsense: {{{", "routes.yaml:", ""),
    ("tenants: 5\n", "routes.yaml:1:10: ", ""),
    ("defaults: { database: nowhere }\n", "routes.yaml:1:23: ", "nowhere"),
])
def test_a_bad_table_changes_nothing(lodge, table, bad, where, what):
    since = lodge.mark()
    assert "refused" in lodge.reload(bad)
    told = lodge.log(since)
    assert where in told
    assert what in told
    assert whoami(lodge) == "globex"
    assert "reloaded (" in lodge.reload(moved(table))
    assert whoami(lodge) == "acme"


def test_every_error_at_once(lodge, table):
    since = lodge.mark()
    broken = text({**table, "tenants": {"globex": {"databse": "acme"}, "soylent": {"stat": "held"}}})
    assert "refused, 2 error(s)" in lodge.reload(broken)
    assert "tenants.globex.databse" in lodge.log(since)
    assert "tenants.soylent.stat" in lodge.log(since)


def test_half_a_file(lodge, table):
    whole = text(moved(table))
    half = whole[:whole.index("tenants:") + len("tenants:\n  glo")]
    since = lodge.mark()
    lodge.routes_file.write_text(half)
    lodge.wait_for_log("refused", since=since)
    assert whoami(lodge) == "globex"
    since = lodge.mark()
    lodge.routes_file.write_text(whole)
    lodge.wait_for_log("globex: database shared -> acme", since=since)


def test_a_file_that_is_being_written_while_another_is_saved(lodge, table):
    """Its writer's pause is what is tested, not waited for."""
    whole = text(moved(table))
    half = whole[:whole.index("  soylent:")]
    since = lodge.mark()
    with lodge.routes_file.open("w") as writer:
        writer.write(half)
        writer.flush()
        (lodge.folder / "notes.txt").write_text("beside it")
        time.sleep(0.5)
        writer.write(whole[len(half):])
    assert "globex: database shared -> acme" in lodge.wait_for_log("reloaded (", " refused, ", since=since)
    assert "removed" not in lodge.log(since)


@pytest.mark.skipif(SANITIZED, reason="UBSan looks at objects through a pipe of its own, for which none is left")
def test_what_fails_because_of_the_moment_is_tried_again(lodge, table):
    since = lodge.mark()
    lodge.leave_descriptors(0)
    lodge.write_routes(moved(table))
    assert "tried again" in lodge.wait_for_log(" refused, ", since=since)
    assert "Too many open files" in lodge.log(since)
    lodge.leave_descriptors(100)
    lodge.wait_for_log("globex: database shared -> acme", since=since)
    assert lodge.log(since).count(" refused, ") == 1
    assert whoami(lodge) == "acme"


NO_INOTIFY = ("unshare", "--user", "--map-root-user", "sh", "-c",
              'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"', "sh")


def test_without_an_inotify_instance(start_lodge, table):
    if subprocess.run([*NO_INOTIFY, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no user namespaces here")
    with start_lodge(table, launcher=NO_INOTIFY) as lodge:
        assert "changes of files are not noticed" in lodge.wait_for_log("cannot watch files: inotify: ")
        lodge.write_routes(moved(table))
        since = lodge.mark()
        lodge.process.send_signal(signal.SIGHUP)
        lodge.wait_for_log("globex: database shared -> acme", since=since)
        assert whoami(lodge) == "acme"


def write_config(lodge, **changes):
    lodge.config.write_text(yaml.safe_dump({**lodge.settings, **changes}, sort_keys=False))


def refused(lodge, act):
    since = lodge.mark()
    act()
    lodge.wait_for_log(" refused, ", since=since)


def mended(lodge, act):
    since = lodge.mark()
    act()
    lodge.wait_for_log("reloaded (", since=since)


def test_a_new_file_is_mended_after_it_was_refused(lodge, table):
    other = lodge.folder / "other.yaml"
    other.write_text("tenants: 5\n")
    refused(lodge, lambda: write_config(lodge, routes="other.yaml"))
    mended(lodge, lambda: other.write_text(text(moved(table))))
    assert whoami(lodge) == "acme"


def test_a_new_included_file_is_mended_after_it_was_refused(lodge, table):
    folder = lodge.folder / "later.d"
    folder.mkdir()
    (folder / "one.yaml").write_text("tenants: 5\n")
    refused(lodge, lambda: lodge.write_routes({**table, "include": ["later.d/*.yaml"]}))
    mended(lodge, lambda: (folder / "one.yaml").write_text(text({"tenants": {"newcomer": {"schema": "tenant_globex"}}})))
    assert whoami(lodge, "trusted.newcomer") == "globex"


@pytest.mark.parametrize("name", ["main.password", "secrets/main.password", "secrets/deeper/main.password"])
def test_a_file_that_is_named_before_it_is_there(start_lodge, table, name):
    with start_lodge(table, {"auth": {"method": "trust"}}) as lodge:
        file = lodge.folder / name
        table["servers"]["main"] |= {"user": "trusted", "password_file": name}
        refused(lodge, lambda: lodge.write_routes(table))

        def write():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("secret")
        mended(lodge, write)


def test_a_server_that_knows_the_lodge_is_refused_beside_passthrough(lodge, table):
    table["servers"]["main"]["user"] = "trusted"
    assert "auth.method: passthrough would have server" in lodge.reload(table) + lodge.log()
    assert whoami(lodge) == "globex"


def test_a_folder_that_is_included_before_it_is_there(lodge, table):
    refused(lodge, lambda: lodge.write_routes({**table, "include": ["later.d/*.yaml"]}))
    folder = lodge.folder / "later.d"

    def write():
        folder.mkdir()
        (folder / "one.yaml").write_text(text({"tenants": {"newcomer": {"schema": "tenant_globex"}}}))
    mended(lodge, write)
    assert whoami(lodge, "trusted.newcomer") == "globex"


@pytest.mark.parametrize("setting, change, told", [
    ("usage", {"ledger": ".", "interval": "1s"}, "a change of usage takes an upgrade"),
    ("admin", {"http": "127.0.0.1:1"}, "a change of admin.http takes an upgrade"),
])
def test_what_takes_a_restart_is_told(lodge, setting, change, told):
    since = lodge.mark()
    write_config(lodge, **{setting: change})
    lodge.wait_for_log(told, since=since)


def test_a_file_that_vanishes_and_returns(lodge, table):
    since = lodge.mark()
    lodge.routes_file.unlink()
    lodge.wait_for_log("refused", since=since)
    assert whoami(lodge) == "globex"
    assert "reloaded (" in lodge.reload(moved(table))
    assert whoami(lodge) == "acme"


def test_a_file_that_cannot_be_read(lodge, table):
    """A folder in its place, since root may read everything else."""
    since = lodge.mark()
    lodge.routes_file.unlink()
    lodge.routes_file.mkdir()
    lodge.wait_for_log("refused", since=since)
    assert whoami(lodge) == "globex"
    lodge.routes_file.rmdir()
    since = lodge.mark()
    lodge.write_routes(moved(table))
    lodge.wait_for_log("globex: database shared -> acme", since=since)


def test_the_daemons_own_file_counts_as_well(lodge):
    since = lodge.mark()
    lodge.config.write_text(yaml.safe_dump({**lodge.settings, "timeouts": {"startup": "-1"}}))
    lodge.wait_for_log("refused", since=since)
    assert "pglodge.yaml:" in lodge.log(since)
    since = lodge.mark()
    lodge.config.write_text(yaml.safe_dump({**lodge.settings, "timeouts": {"startup": "1s"}}))
    lodge.wait_for_log("reloaded (", since=since)
    with lodge.wire() as wire:
        assert wire.refusal().sqlstate == "57014"


# Sessions that run.

def test_an_idle_session_of_a_moved_tenant_is_closed(lodge, table):
    with lodge.login("trusted.globex") as leaving, lodge.login("trusted.soylent") as staying:
        lodge.reload(moved(table))
        error = leaving.refusal()
        assert (error.severity, error.sqlstate) == ("FATAL", "57P01")
        assert '"globex"' in error.message
        assert staying.value("SELECT name FROM whoami") == "soylent"
        assert whoami(lodge) == "acme"


def test_a_transaction_is_not_torn(lodge, table):
    with lodge.login("trusted.globex") as session:
        session.rows("BEGIN")
        lodge.reload(moved(table))
        assert whoami(lodge) == "acme"  # new ones go to the new place meanwhile
        assert session.value("SELECT name FROM whoami") == "globex"
        with pytest.raises(ServerError) as caught:
            session.rows("SELECT 1/0")
        assert caught.value.sqlstate == "22012"
        assert session.status == "E"
        session.send(query("ROLLBACK"))
        kinds = [kind for kind, _ in session.until(b"Z")]
        assert kinds == [b"C", b"Z"]
        assert session.refusal().sqlstate == "57P01"


def test_a_running_statement_is_not_torn(lodge, table):
    with lodge.login("trusted.globex") as session:
        session.send(query("SELECT name FROM whoami, pg_sleep(1)"))
        lodge.reload(moved(table))
        assert [kind for kind, _ in session.until(b"Z")] == [b"T", b"D", b"C", b"Z"]
        assert session.refusal().sqlstate == "57P01"


def test_nor_is_a_copy_nor_an_unfinished_batch(lodge, table):
    with lodge.login("trusted.globex") as copying, lodge.login("trusted.globex") as batching:
        copying.rows("CREATE TEMP TABLE t (x int)")
        copying.send(query("COPY t FROM STDIN"))
        copying.until(b"G")
        batching.send(message(b"P", b"\0SELECT 1\0\0\0") + message(b"H"))
        batching.until(b"1")
        lodge.reload(moved(table))
        assert whoami(lodge) == "acme"
        copying.send(message(b"d", b"1\n2\n") + message(b"c"))
        assert [kind for kind, _ in copying.until(b"Z")] == [b"C", b"Z"]
        assert copying.refusal().sqlstate == "57P01"
        batching.send(message(b"S"))
        batching.until(b"Z")
        assert batching.refusal().sqlstate == "57P01"


@pytest.mark.parametrize("entry, sqlstate", [
    ({"state": "suspended", "message": "call billing"}, "57P03"),
    ({"users": ["app"]}, "28000"),
    ({"settings": {"app.tenant_id": "9"}}, "57P01"),
    ({"role": "tenant_globex"}, "57P01"),
    (None, "57P01"),
])
def test_other_reasons_to_leave(lodge, table, entry, sqlstate):
    tenants = {**table["tenants"], "globex": entry}
    if entry is None:
        del tenants["globex"]
    with lodge.login("trusted.globex") as session:
        assert "reloaded (" in lodge.reload({**table, "tenants": tenants})
        assert session.refusal().sqlstate == sqlstate


def test_no_reason_to_leave(lodge, table):
    with lodge.login("trusted.globex") as session:
        more = {**table, "tenants": {**table["tenants"], "newcomer": {}, "globex": {"limits": {"clients": 5}}}}
        assert "reloaded (" in lodge.reload(more)
        assert whoami(lodge) == "globex"
        assert session.value("SELECT name FROM whoami") == "globex"
