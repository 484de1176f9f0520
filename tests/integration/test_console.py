"""The console: the virtual database pglodge, over psql and drivers, by the protocol's two query modes."""

import asyncio
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from contextlib import closing, suppress
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import pytest
import yaml
from cluster import BIN, PASSWORD, free_port
from drivers import Way, drivers
from lodge import SANITIZED, eventually, standard_routes
from wire import ServerError, message, query

DAEMON = {"auth": {"method": "trust"}, "admin": {"users": ["root"], "stats_users": ["watcher"]}}
SHOWS = ["HELP", "VERSION", "CONFIG", "STATE", "LISTS", "MEM", "DATABASES", "POOLS", "CLIENTS", "SERVERS", "SOCKETS", "USERS",
         "HOSTS", "STATS", "STATS_TOTALS", "STATS_AVERAGES", "TOTALS", "TENANTS", "ROUTES", "PINS", "USAGE", "EVENTS", "TENANT 'globex'",
         "ROUTE 'globex'", "ROUTE 'postgres://app.globex@lodge/crm'"]


def routes(postgres):
    table = standard_routes(postgres.host)
    table["tenants"]["hooli"] = {"state": "suspended", "message": "call billing"}
    table["databases"]["shared"]["limits"] = {"clients": 500}
    table["roles"] = {"reporting": {"limits": {"clients": 20}}}
    return table


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    return start_lodge(routes(postgres), DAEMON)


@pytest.fixture
def console(lodge):
    with Console(lodge) as opened:
        yield opened
    # What a test that failed has left.
    with Console(lodge) as after:
        for command in ("ACTIVATE globex", "RESUME", "ENABLE shared"):
            with suppress(psycopg2.errors.ObjectNotInPrerequisiteState):
                after(command)


class Console:
    """Simple queries by psycopg2; rows are dictionaries."""

    def __init__(self, lodge, user="root"):
        self.connection = lodge.connect(user, "pglodge")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def __call__(self, text):
        with self.connection.cursor() as cursor:
            cursor.execute(text)
            if cursor.description is None:
                return None
            names = [one.name for one in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]

    def refused(self, text):
        """The SQLSTATE, and all that is said."""
        with pytest.raises(psycopg2.Error) as caught:
            self(text)
        return caught.value.pgcode, str(caught.value)

    def tenant(self, name):
        return {row["key"]: row["value"] for row in self(f"SHOW TENANT '{name}'")}


def psql(lodge, *commands, user="root", check=True):
    words = [part for one in commands for part in ("-c", one)]
    done = subprocess.run([BIN / "psql", "-XA", f"postgres://{user}@127.0.0.1:{lodge.port}/pglodge", *words],
                          capture_output=True, text=True, timeout=60, check=False)
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


# What is shown.


@pytest.mark.parametrize("what", SHOWS)
def test_every_show_in_both_protocols(lodge, console, what):
    console(f"SHOW {what}")
    with psycopg.connect(host="127.0.0.1", port=lodge.port, user="root", dbname="pglodge", autocommit=True) as connection:
        cursor = connection.execute(f"SHOW {what} LIMIT %s", ["3"])
        assert cursor.description
        assert len(cursor.fetchall()) <= 3


def test_the_most_clients_of_databases_and_roles(lodge, console):
    most = {row["name"]: row["max_client_connections"] for row in console("SHOW DATABASES")}
    assert (most["shared"], most["acme"]) == (500, 0)
    with lodge.login("trusted.globex", "crm"):
        users = {row["name"]: (row["max_user_client_connections"], row["current_client_connections"])
                 for row in console("SHOW USERS")}
    assert (users["reporting"], users["trusted"]) == ((20, 0), (0, 1))


def test_pools_clients_and_servers(lodge, console):
    with closing(lodge.connect("trusted.globex", application_name="shop")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT 1")
        row, = console("SHOW CLIENTS LIKE 'globex'")
        assert (row["type"], row["user"], row["state"], row["application_name"], row["place"]) == \
            ("C", "trusted", "active", "shop", "shared")
        assert row["addr"] == "127.0.0.1" and row["remote_pid"] > 0 and row["connect_time"].endswith(" UTC")
        server, = console("SHOW SERVERS LIKE 'globex'")
        assert (server["type"], server["state"], server["database"], server["remote_pid"]) == \
            ("S", "active", "saas", row["remote_pid"])
        pool, = [one for one in console("SHOW POOLS") if one["database"] == "saas" and one["user"] == "trusted"]
        assert (pool["cl_active"], pool["sv_active"], pool["pool_mode"]) == (1, 1, "transaction")
        tenant = console.tenant("globex")
        assert (tenant["clients"], tenant["active"], tenant["state"]) == ("1", "1", "active")
        assert len(console("SHOW SOCKETS LIKE 'globex'")) == 2
        client.rollback()
        eventually(lambda: console("SHOW CLIENTS LIKE 'globex'")[0]["state"] == "idle", "idle")
    lists = {row["list"]: row["items"] for row in console("SHOW LISTS")}
    assert lists["tenants"] == 6 and lists["databases"] == 3


def test_a_session_with_a_connection_of_its_own_and_pins(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        cursor.execute("LISTEN news")
        pinned, = eventually(lambda: console("SHOW PINS"), "a pin")
        assert pinned["tenant"] == "globex" and "LISTEN" in pinned["pins"]


def test_usage_and_stats_are_what_was_done(start_lodge, postgres):
    with start_lodge(routes(postgres), DAEMON) as lodge, Console(lodge) as console:
        with lodge.login("trusted.globex", "crm") as client:
            for _ in range(7):
                client.rows("SELECT generate_series(1, 3)")
            names = ("transactions", "statements", "rows", "peak_clients")

            def counted():
                mine, = console("SHOW USAGE LIKE 'globex'")
                return [int(mine[name]) for name in names]
            eventually(lambda: counted() == [7, 7, 21, 1], counted)
            totals, = console("SHOW STATS_TOTALS LIKE 'shared'")
            assert [int(totals[name]) for name in ("xact_count", "query_count")] == [7, 7]


def test_averages_are_those_of_the_last_period(start_lodge, postgres):
    admin = {**DAEMON["admin"], "stats_period": "1s"}
    with start_lodge(routes(postgres), {**DAEMON, "admin": admin}) as lodge, Console(lodge) as console:
        def averages():
            return {name: int(value) for name, value in console("SHOW STATS LIKE 'shared'")[0].items()
                    if name.startswith("avg_")}
        assert set(averages().values()) == {0}
        with lodge.login("trusted.globex", "crm") as client:
            for _ in range(20):
                client.rows("SELECT pg_sleep(0.001)")
            told = eventually(lambda: (now := averages())["avg_xact_count"] and now, averages)
            assert 0 < told["avg_xact_count"] <= 20 and told["avg_query_count"] == told["avg_xact_count"]
            assert told["avg_xact_time"] >= 1000 and told["avg_recv"] > 0 and told["avg_sent"] > 0
            eventually(lambda: set(averages().values()) == {0}, averages)


def test_like_order_and_limit(console):
    assert [row["tenant"] for row in console("SHOW TENANTS LIKE '%o%' ORDER BY tenant DESC LIMIT 2")] == ["soylent", "hooli"]
    code, told = console.refused("SHOW TENANTS ORDER BY tenent")
    assert code == "42703" and '"tenant"' in told


def test_config_shows_every_key(console):
    reference = (Path(__file__).parents[2] / "conf" / "reference.md").read_text().split("## routes.yaml")[0].split("## pglodge.yaml")[1]
    keys = {key for key, kind in re.findall(r"^\| `([a-z_.*]+)` \| ([^|]*) \|", reference, re.M)
            if ".*" not in key and kind.strip() != "mapping"}
    assert len(keys) > 20
    assert keys - {row["key"] for row in console("SHOW CONFIG")} == set()


def test_config_tells_where_a_value_is_from(console):
    config = {row["key"]: row for row in console("SHOW CONFIG")}
    assert config["workers"]["value"] == "2" and config["workers"]["changeable"] == "no"
    assert config["admin.users"] | {"description": ""} == {"key": "admin.users", "value": "root", "default": "[]",
                                                          "changeable": "yes", "source": "file", "description": ""}
    assert config["timeouts.connect"]["source"] == "default"


def test_route(console):
    told = {row["key"]: row["value"] for row in console("SHOW ROUTE 'postgres://app.umbrella@lodge/crm'")}
    assert told["tenant"] == "umbrella" and told["rule"] == "tenants.umbrella" and "crm_umbrella" in told["database"]
    assert console.refused("SHOW ROUTE 'no such id'")[0] == "22023"
    refused = {row["key"]: row["value"] for row in console("SHOW ROUTE 'hooli'")}
    assert "57P03" in refused["refused"]
    for user, word in (("root", "every command"), ("watcher", "look only")):
        told = {row["key"]: row["value"] for row in console(f"SHOW ROUTE 'postgres://{user}@lodge/pglodge'")}
        assert word in told["admitted"] and told["user"] == user
    refused = {row["key"]: row["value"] for row in console("SHOW ROUTE 'postgres://trusted.globex@lodge/pglodge'")}
    assert "may not use the console" in refused["refused"] and "tenant" not in refused


# Programs and drivers.


def test_psql(lodge):
    told = psql(lodge, "\\d", "\\l", "\\dt", "\\du", "\\dn", "\\conninfo", "SHOW VERSION", "SELECT version()")
    assert "ERROR" not in told and "WARNING" not in told
    assert "Did not find any relations." in told and "pglodge 0." in told
    told = psql(lodge, "SELECT * FROM tenants", check=False)
    assert "console of pglodge" in told and "SHOW HELP" in told
    assert "Did not find any relation" in psql(lodge, "\\d tenants", check=False)


@pytest.mark.parametrize("driver", drivers())
def test_every_driver(lodge, driver):
    """A row of text, and one of numbers and nulls."""
    way = Way(lodge.port, "root", "pglodge")
    assert driver.row(way, "SHOW VERSION")[0].startswith("pglodge ")
    assert str(driver.row(way, "SHOW TENANTS LIKE 'globex'")[0]) == "globex"


def test_drivers_with_transactions_and_fetching_in_portions(lodge):
    with closing(psycopg2.connect(host="127.0.0.1", port=lodge.port, user="root", dbname="pglodge")) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("SHOW TENANTS")
            assert len(cursor.fetchall()) == 6
    with psycopg.connect(host="127.0.0.1", port=lodge.port, user="root", dbname="pglodge") as connection:
        assert len(connection.execute("SHOW TENANTS LIKE %s", ["g%"]).fetchall()) == 1
        assert connection.execute("SHOW LISTS LIMIT 1", binary=True).fetchone() == ("databases", 3)

    async def run():
        connection = await asyncpg.connect(host="127.0.0.1", port=lodge.port, user="root", database="pglodge")
        rows = await connection.fetch("SHOW LISTS LIKE $1", "data%")
        assert [tuple(row) for row in rows] == [("databases", 3)]
        assert await connection.fetchval("SELECT 1") == 1
        async with connection.transaction():
            assert [row async for row in connection.cursor("SHOW TENANTS ORDER BY 1", prefetch=2)][0]["tenant"] == "acme"
        with pytest.raises(asyncpg.PostgresError) as caught:
            await connection.execute("SHWO TENANTS")
        assert 'Did you mean SHOW?' in caught.value.hint
        await connection.reset()
        await connection.close()
    asyncio.run(run())


@pytest.mark.skipif(not shutil.which("check_postgres"), reason="check_postgres is not installed")
@pytest.mark.parametrize("action", ["pgb_pool_cl_active", "pgb_pool_cl_waiting", "pgb_pool_sv_active", "pgb_pool_sv_idle",
                                    "pgb_pool_sv_used", "pgb_pool_sv_tested", "pgb_pool_sv_login", "pgb_pool_maxwait",
                                    "pgbouncer_backends"])
def test_check_postgres(lodge, action):
    """Those of its actions that are for PgBouncer, but for the checksum of a configuration."""
    limits = ["--warning=80%", "--critical=90%"] if action == "pgbouncer_backends" else ["--warning=90", "--critical=95"]
    done = subprocess.run(["check_postgres", f"--action={action}", "--host=127.0.0.1", f"--port={lodge.port}",
                           "--dbuser=root", "--dbname=pglodge", *limits], capture_output=True, text=True, timeout=60, check=False)
    assert "OK" in done.stdout, done.stdout + done.stderr


# Who may.


@pytest.mark.parametrize("user", ["intruder", "trusted", "root.globex"])
def test_others_are_refused(lodge, user):
    with pytest.raises(psycopg2.OperationalError, match="may not use the console"):
        lodge.connect(user, "pglodge")


def test_stats_users_only_look(lodge):
    with Console(lodge, "watcher") as watcher:
        assert watcher("SHOW TENANTS")
        watcher("SET application_name = 'x'")
        for text in ("RELOAD", "KILL", "HOLD globex", "SET log_level = debug", "SHOW POOLS; SHUTDOWN", "KILL_CLIENT 1"):
            assert watcher.refused(text)[0] == "42501", text
        assert watcher("SHOW STATE")


def write_admin(lodge, admin):
    new = lodge.folder / ".pglodge.new"
    new.write_text(yaml.safe_dump({**lodge.settings, "admin": admin}, sort_keys=False))
    new.rename(lodge.config)


def reload_admin(lodge, admin):
    since = lodge.mark()
    write_admin(lodge, admin)
    assert "reloaded (" in lodge.wait_for_log("reloaded (", " refused, ", since=since)


def test_rights_are_those_of_the_settings_in_force(start_lodge, postgres):
    """Of sessions that are open, too: of one that is idle, of one in what its driver holds for a transaction, and of one
    that is in the middle of its text."""
    with start_lodge(routes(postgres), DAEMON) as lodge, lodge.login("root", "pglodge") as in_transaction, \
            Console(lodge) as demoted, lodge.login("root", "pglodge") as idle:
        in_transaction.rows("BEGIN")
        reload_admin(lodge, {"users": ["another"], "stats_users": ["root"]})
        assert demoted.refused("SUSPEND globex")[0] == "42501"
        assert demoted("SHOW VERSION")
        reload_admin(lodge, {"users": ["root"]})
        demoted("SUSPEND globex; ACTIVATE globex")
        reload_admin(lodge, {"users": ["another"]})
        told = idle.until(b"E")[-1][1]
        assert b"57P01" in told and b'"root" may not use the console of pglodge any more' in told
        in_transaction.send(query("SHUTDOWN"))
        assert in_transaction.refusal().sqlstate == "57P01"
        with closing(lodge.connect("another", "pglodge")) as other, other.cursor() as cursor:
            cursor.execute("SHOW STATE")
            assert cursor.fetchall()


def test_behind_the_reload_that_bars_its_session_nothing_is_done(start_lodge, postgres):
    with start_lodge(routes(postgres), DAEMON) as lodge, lodge.login("root", "pglodge") as session:
        write_admin(lodge, {"users": ["another"]})
        session.send(query("RELOAD; SHUTDOWN"))
        assert b"57P01" in session.until(b"E")[-1][1]
        session.expect_closed()
        assert lodge.alive()


def test_passthrough_has_nobody_to_ask(start_lodge, postgres):
    with start_lodge(routes(postgres), {"admin": {"users": ["app"]}}) as lodge:
        with pytest.raises(psycopg2.OperationalError, match="by passthrough(?s:.*)HINT:.*auth.users"):
            lodge.connect("app", "pglodge")


def test_with_a_password(start_lodge, postgres, tmp_path):
    users = tmp_path / "users.txt"
    users.write_text(f'"app" "{PASSWORD}"\n"other" "{PASSWORD}"\n')
    daemon = {"admin": {"users": ["app"]}, "auth": {"method": "scram-sha-256", "users": str(users)}}
    with start_lodge(routes(postgres), daemon) as lodge:
        lodge.connect("app", "pglodge", password=PASSWORD).close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            lodge.connect("app", "pglodge", password="wrong")
        with pytest.raises(psycopg2.OperationalError, match="may not use the console"):
            lodge.connect("other", "pglodge", password=PASSWORD)


# What is done.


def in_thread(function):
    """Starts it; `join` gives what it returned or raised."""
    class Run(threading.Thread):
        def run(self):
            try:
                self.outcome = function()
            except Exception as error:
                self.outcome = error
    started = Run(daemon=True)
    started.start()
    return started


def once(lodge, text):
    with Console(lodge) as console:
        return console(text)


def ask(lodge, user, question="SELECT 1"):
    with closing(lodge.connect(user)) as client, client.cursor() as cursor:
        cursor.execute(question)
        return cursor.fetchone()[0]


def test_hold_outlives_a_reload_and_only_that_tenant_waits(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        cursor.execute("SELECT 1")
        console("HOLD 'globex'")
        since = lodge.mark()
        console("RELOAD")
        lodge.wait_for_log("reloaded (RELOAD by", since=since)
        assert (console.tenant("globex")["state"], console.tenant("globex")["override"]) == ("held", "held")
        waiting = in_thread(lambda: cursor.execute("SELECT 2"))
        arriving = in_thread(lambda: ask(lodge, "trusted.globex"))
        eventually(lambda: len([one for one in console("SHOW CLIENTS LIKE 'globex'") if one["state"] == "waiting"]) == 2,
                   lambda: console("SHOW CLIENTS"))
        assert all(one["wait"] < 60 for one in console("SHOW CLIENTS"))
        assert ask(lodge, "trusted.soylent") == 1
        assert waiting.is_alive() and arriving.is_alive()
        console("RELEASE 'globex'")
        waiting.join(10)
        arriving.join(10)
        assert arriving.outcome == 1 and not waiting.is_alive()
    assert console.tenant("globex")["override"] == ""
    assert console.refused("RELEASE globex")[0] == "55000"


def test_suspend_and_activate(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        cursor.execute("SELECT 1")
        console("SUSPEND 'globex' 'moving; back at noon'")
        with pytest.raises(psycopg2.Error):
            cursor.execute("SELECT 1")
        lodge.wait_for_log("57P03: moving; back at noon")
    with pytest.raises(psycopg2.OperationalError, match="moving; back at noon"):
        ask(lodge, "trusted.globex")
    assert console.tenant("globex")["message"] == "moving; back at noon"
    console("ACTIVATE 'globex'")
    assert ask(lodge, "trusted.globex") == 1
    code, told = console.refused("ACTIVATE globex")
    assert code == "55000" and "is neither held nor suspended" in told
    console("ACTIVATE hooli")
    assert console.tenant("hooli")["override"] == "active"
    console("SUSPEND hooli")
    assert console.tenant("hooli")["override"] == ""


def test_pause_waits_for_transactions_and_resume_lets_go_on(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT 1")
        pausing = in_thread(lambda: once(lodge, "PAUSE shared"))
        eventually(lambda: console("SHOW DATABASES LIKE 'shared'")[0]["paused"] == 1, "paused")
        assert pausing.is_alive()
        client.commit()
        pausing.join(10)
        assert pausing.outcome is None
        assert console("SHOW DATABASES LIKE 'shared'")[0]["current_connections"] == 0
        waiting = in_thread(lambda: ask(lodge, "trusted.soylent"))
        assert ask(lodge, "trusted.acme") == 1
        assert console.refused("RESUME nowhere")[0] == "3D000"
        code, told = console.refused("RESUME acme")
        assert code == "55000" and 'database "acme" is not paused' in told
        assert waiting.is_alive()
        console("RESUME shared")
        waiting.join(10)
        assert waiting.outcome == 1


def test_pause_waits_for_connections_of_a_server_that_was_changed(start_lodge, postgres):
    with start_lodge(routes(postgres), DAEMON) as lodge, Console(lodge) as console, \
            closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT 1")
        changed = routes(postgres)
        changed["servers"]["main"]["max_connections"] = 50
        lodge.reload(changed)
        assert ask(lodge, "trusted.soylent") == 1  # by the server as it is now
        pausing = in_thread(lambda: once(lodge, "PAUSE shared"))
        eventually(lambda: console("SHOW DATABASES LIKE 'shared'")[0]["paused"] == 1, "paused")
        assert pausing.is_alive()
        client.commit()
        pausing.join(10)
        assert not pausing.is_alive()


def test_a_client_that_leaves_in_a_wait_is_noticed(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT 1")
        with lodge.login("root", "pglodge") as other:
            other.send(query("PAUSE shared"))
            eventually(lambda: console("SHOW DATABASES LIKE 'shared'")[0]["paused"] == 1, "it waits")
            count = len(console("SHOW CLIENTS"))
            other.send(message(b"X"))
        eventually(lambda: len(console("SHOW CLIENTS")) < count, "it is gone")
        client.commit()
    console("RESUME shared")


def test_who_waits_for_a_paused_place_is_told_of_it(start_lodge, postgres):
    daemon = {**DAEMON, "timeouts": {**DAEMON.get("timeouts", {}), "query_wait": "1s", "query_wait_notify": "100ms"}}
    with start_lodge(routes(postgres), daemon) as lodge, Console(lodge) as console:
        with lodge.login("trusted.soylent", "crm") as client:
            console("PAUSE")
            client.send(query("SELECT 1"))
            assert b'waiting for database "shared" to be resumed' in client.until(b"N")[-1][1]
            with pytest.raises(ServerError, match='database "shared" is paused, and was not resumed in time'):
                raise ServerError(client.until(b"E")[-1][1])
            lists = {row["list"]: row["items"] for row in console("SHOW LISTS")}
            assert lists["overrides"] == 1
            console("RESUME")
            client.until(b"Z")
            assert client.value("SELECT 1") == "1"


def test_sessions_that_wait_to_be_released_belong_to_their_place(lodge, console):
    console("PAUSE shared")
    waiting = in_thread(lambda: ask(lodge, "trusted.soylent"))
    eventually(lambda: console("SHOW DATABASES LIKE 'shared'")[0]["current_client_connections"] == 1, "it is counted there")
    assert waiting.is_alive()
    code, told = console.refused("RELEASE 'soylent'")
    assert code == "55000" and "its database is paused, which RESUME ends" in told
    console("RESUME shared")
    waiting.join(10)
    assert waiting.outcome == 1


@pytest.mark.parametrize("command, undo", [("PAUSE shared", "RESUME shared"), ("HOLD soylent", "RELEASE soylent"), (None, None)])
def test_monitoring_sees_all_who_wait(start_lodge, postgres, command, undo):
    """Those that stand in no queue: who is paused or held, in a session and before it has begun; and who is slowed by a
    rate."""
    table = routes(postgres)
    if not command:
        table["tenants"]["soylent"] = {"limits": {"queries_per_second": 1, "burst": 1, "wait": "60s"}}
    http = f"127.0.0.1:{free_port()}"
    with start_lodge(table, {**DAEMON, "admin": {**DAEMON["admin"], "http": http}}) as lodge, Console(lodge) as console, \
            lodge.login("trusted.soylent") as there:
        if command:
            console(command)
            arriving = in_thread(lambda: ask(lodge, "trusted.soylent"))
        if not command:  # sent ahead, they run together, and have to be waited for then
            there.send(query("SELECT 1") * 30)
            for _ in range(30):
                there.until(b"Z")
        there.send(query("SELECT 1"))
        waiting = 2 if command else 1

        def pool():
            return [one for one in console("SHOW POOLS") if (one["database"], one["user"]) == ("saas", "trusted")]
        eventually(lambda: [one["cl_waiting"] for one in pool()] == [waiting], pool)
        eventually(lambda: pool()[0]["maxwait"] * 1_000_000 + pool()[0]["maxwait_us"] > 50_000, pool)
        assert console("SHOW TENANTS LIKE 'soylent'")[0]["waiting"] == waiting
        assert console.tenant("soylent")["waiting"] == str(waiting)
        if command:
            with urllib.request.urlopen(f"http://{http}/metrics", timeout=10) as page:
                paused = int(command == "PAUSE shared")
                assert f'pglodge_database_paused{{database="shared"}} {paused}\n' in page.read().decode()
            console(undo)
            arriving.join(10)
            assert arriving.outcome == 1
            eventually(lambda: pool()[0]["maxwait"] == pool()[0]["cl_waiting"] == 0, pool)


def test_who_has_yet_to_name_its_tenant_is_let_in_and_no_further(start_lodge, postgres):
    table = routes(postgres)
    table["hints"].append({"variable": "app.tenant"})
    table["no_tenant"] = {"action": "wait"}
    with start_lodge(table, DAEMON) as lodge, Console(lodge) as console:
        console("DISABLE shared")
        with lodge.login("trusted", "crm") as wire:
            with pytest.raises(ServerError) as caught:
                wire.rows("SET app.tenant = 'globex'")
            assert caught.value.sqlstate == "57P03"
            wire.rows("SET app.tenant = 'acme'")
            assert wire.value("SELECT current_database()") == "acme"


def test_pause_of_everything_can_be_cancelled(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT 1")
        with Console(lodge) as other:
            pausing = in_thread(lambda: other("PAUSE"))
            eventually(lambda: {row["key"]: row["value"] for row in console("SHOW STATE")}["paused"] == "yes", "paused")

            def cancelled():
                other.connection.cancel()
                return not pausing.is_alive()
            eventually(cancelled, "cancelled")
            assert pausing.outcome.pgcode == "57014"
        assert console.refused("RESUME shared")[0] == "55000"
        console("RESUME")
        client.rollback()


def test_disable_and_enable(lodge, console):
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        console("DISABLE shared")
        cursor.execute("SELECT 1")
        with pytest.raises(psycopg2.OperationalError, match='"shared" is disabled'):
            lodge.connect("trusted.globex")
        console("ENABLE shared")
        assert ask(lodge, "trusted.globex") == 1


def test_kills(lodge, console):
    def lost(wire):
        error = ServerError(wire.until(b"E")[-1][1])
        assert error.sqlstate == "57P01" and "administrator" in error.message
        wire.close()
    first, second, other = (lodge.login(user) for user in ("trusted.globex", "trusted.globex", "trusted.soylent"))
    number = console("SHOW CLIENTS LIKE 'soylent'")[0]["id"]
    console("KILL TENANT 'globex'")
    lost(first)
    lost(second)
    console(f"KILL_CLIENT {number}")
    lost(other)
    code, told = console.refused(f"KILL_CLIENT {number}")
    assert code == "42704" and "SHOW CLIENTS" in told
    events = [(row["subject"], row["what"]) for row in console("SHOW EVENTS") if row["kind"] == "kill"]
    assert events[-2:] == [("tenant globex", "2 session(s) ended"), (f"client {number}", "1 session(s) ended")]
    third = lodge.login("trusted.globex")
    # Two at once, and both come to an end.
    with Console(lodge) as twin:
        killing = in_thread(lambda: twin("KILL shared"))
        console("KILL shared")
        killing.join(10)
        assert killing.outcome is None
    lost(third)
    console("RESUME shared")
    for command in ("RESUME shared", "RESUME"):
        assert console.refused(command)[0] == "55000"
    assert ask(lodge, "trusted.globex") == 1


def test_reconnect(lodge, console):
    pid = ask(lodge, "trusted.globex", "SELECT pg_backend_pid()")
    with closing(lodge.connect("trusted.globex")) as client, client.cursor() as cursor:
        client.autocommit = False
        cursor.execute("SELECT pg_backend_pid()")
        console("RECONNECT shared")
        assert console("SHOW SERVERS LIKE 'globex'")[0]["close_needed"] == 1
        waiting = in_thread(lambda: once(lodge, "WAIT_CLOSE"))
        client.rollback()
        waiting.join(10)
        assert not waiting.is_alive()
    assert ask(lodge, "trusted.globex", "SELECT pg_backend_pid()") != pid


def test_reload_tells_what_is_wrong(lodge, console, postgres):
    table = routes(postgres)
    table["databases"]["shared"]["server"] = "mian"
    lodge.reload(table)
    code, told = console.refused("RELOAD")
    assert code == "F0000" and "mian" in told and "routes.yaml:" in told
    config = {row["key"]: row["value"] for row in console("SHOW CONFIG")}
    assert "mian" in config["config.errors"]
    lodge.reload(routes(postgres))
    console("RELOAD")
    kinds = [row["kind"] for row in console("SHOW EVENTS")]
    assert "reload" in kinds


def test_log_level(lodge, console):
    console("SET log_level = warn")
    config = {row["key"]: row for row in console("SHOW CONFIG LIKE 'log.level'")}
    assert (config["log.level"]["value"], config["log.level"]["source"]) == ("warn", "console")
    console("RESET ALL")
    assert console("SHOW CONFIG LIKE 'log.level'")[0]["source"] == "console"
    console("SET log_level TO DEFAULT")
    assert console("SHOW CONFIG LIKE 'log.level'")[0]["value"] == "debug"
    assert console.refused("SET log_level = loud")[0] == "22023"
    assert console.refused("SET max_client_conn = 5")[0] == "42704"


@pytest.mark.parametrize("words, told", [("SHUTDOWN", "closing"), ("SHUTDOWN WAIT_FOR_CLIENTS", "draining")])
def test_shutdown(start_lodge, postgres, words, told):
    lodge = start_lodge(routes(postgres), DAEMON)
    try:
        with Console(lodge) as console:
            console(words)
    except psycopg2.Error:
        pass  # it may hear no answer any more
    lodge.has_left()
    assert told in lodge.log()


def test_the_console_ends_by_sigterm(start_lodge, postgres):
    lodge = start_lodge(routes(postgres), DAEMON)
    with Console(lodge) as console:
        console("SHOW STATE")
        lodge.process.send_signal(signal.SIGTERM)
        lodge.has_left()
        assert "the lodge is closing" in lodge.log()


# Bad input.


@pytest.mark.parametrize("text, code, hint", [
    ("SHWO TENANTS", "42601", "Did you mean SHOW?"),
    ("SHOW TENNANTS", "42601", "Did you mean TENANTS?"),
    ("HOLD 'globec'", "3D000", "Did you mean 'globex'?"),
    ("HOLD 'nobody at all'", "3D000", "SHOW TENANTS"),
    ("HOLD 'x''; KILL; --'", "3D000", ""),
    ("SHOW TENANT '\"; SHUTDOWN'", "3D000", ""),
    ("HOLD globex; SHWO", "42601", ""),
    ("KILL_CLIENT globex", "22023", ""),
    ("KILL TENANT nobody", "3D000", ""),
    ("PAUSE sharde", "3D000", "Did you mean shared?"),
    ("SHOW CLIENTS LIMIT lots", "22023", ""),
    ("SAVEPOINT a", "0A000", "SHOW HELP"),
])
def test_bad_commands(console, text, code, hint):
    got, told = console.refused(text)
    assert got == code and hint in told, told
    assert console.tenant("globex")["override"] == ""


def test_ten_megabytes_of_sql(lodge, console):
    code, _ = console.refused("SHOW TENANTS; -- " + "x" * 10_000_000)
    assert code == "54000"
    assert console("SHOW VERSION")
    assert lodge.memory_peak_mib() < 400


def test_a_client_that_stops_reading(start_lodge, postgres):
    table = routes(postgres)
    table["tenants"].update({f"t{i:06}": {} for i in range(100_000)})
    with start_lodge(table, DAEMON) as lodge, Console(lodge) as console:
        before = lodge.memory_peak_mib()
        with lodge.login("root", "pglodge") as silent:
            for _ in range(5):
                silent.send(query("SHOW TENANTS"))
            begun = time.monotonic()
            rows = console("SHOW TENANTS ORDER BY tenant DESC LIMIT 3")
            assert [row["tenant"] for row in rows] == ["umbrella", "t099999", "t099998"]
            assert len(console("SHOW TENANTS")) == 100_006
            assert time.monotonic() - begun < 30
            assert SANITIZED or lodge.memory_peak_mib() - before < 150
        eventually(lambda: len(console("SHOW CLIENTS")) == 1, lambda: console("SHOW CLIENTS"))
