"""A server that is out of reach for a while: who waits for it, how it is asked, and what survives."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cluster import Cluster, free_port
from faulty_relay import FaultyRelay
from lodge import SANITIZED, eventually, standard_routes
from test_http import Desk
from wire import Closed, ServerError, columns, query, startup

TRUST = {"auth": {"method": "trust"}}


def table_by(relay, **more):
    table = standard_routes(relay.host)
    table["servers"]["main"].update(tls={"mode": "disable"}, **more)
    return table


def impatient(table, wait):
    table["defaults"]["limits"] = {"wait": wait}
    return table


def begin(lodge, user="trusted.globex"):
    wire = lodge.wire(timeout=60)
    wire.send(startup({"user": user, "database": "crm"}))
    return wire


@pytest.fixture
def relay(postgres):
    with FaultyRelay(postgres.port) as made:
        yield made


def test_five_hundred_wait_and_the_server_is_not_stormed(start_lodge, relay):
    with start_lodge(table_by(relay, max_connections=10), TRUST) as lodge:
        relay.refusing = True
        clients = [begin(lodge) for _ in range(500)]
        lodge.wait_for_log("is out of reach, attempt 8,")
        attempts = list(relay.attempts)
        # Those that the pool has room for begin together; once they have failed, it is one by one.
        assert len(attempts) <= 10 + 8
        alone = attempts[-7:]
        pauses = [later - earlier for earlier, later in zip(alone, alone[1:])]
        assert sum(pauses[-2:]) > 2 * sum(pauses[:2]), pauses
        assert max(pauses) < (20 if SANITIZED else 4)
        relay.refusing = False
        for client in clients:
            client.until(b"Z")
            assert client.value("SELECT name FROM whoami") == "globex"
        assert relay.most_open <= 10
        lodge.wait_for_log("answers again")
        for client in clients:
            client.close()


def test_who_finds_the_server_full_waits_for_a_connection_that_comes_free(start_lodge, postgres):
    """Its own limit is lower than the budget: what it lets in is shared, and after an upgrade two processes share it."""
    postgres.value("CREATE ROLE crowded LOGIN CONNECTION LIMIT 2")
    table = impatient(standard_routes(postgres.host), "20s")
    table["databases"]["shared"]["pool"] = {"size": 10}
    with start_lodge(table, TRUST) as lodge:
        def client(_):
            with lodge.login("crowded.globex", "crm") as wire:
                return {wire.value("SELECT pg_backend_pid() FROM pg_sleep(0.02)") for _ in range(10)}
        with ThreadPoolExecutor(8) as pool:
            seen = set().union(*pool.map(client, range(8)))
        assert seen
        assert "who needs a connection waits until one is given back" in lodge.log()


def test_who_finds_the_server_full_is_seen_waiting(start_lodge, postgres):
    postgres.value("CREATE ROLE one_by_one LOGIN CONNECTION LIMIT 1")
    table = impatient(standard_routes(postgres.host), "60s")
    admin = {"http": f"127.0.0.1:{free_port()}", "users": ["root"]}
    with start_lodge(table, {**TRUST, "admin": admin}) as lodge:
        def waiting():
            return Desk(lodge).metric('pglodge_waiting_clients{server="main"}')
        clients = [lodge.login("one_by_one.globex", "crm") for _ in range(3)]
        clients[0].rows("BEGIN")
        for client in clients[1:]:
            client.send(query("SELECT 1"))
        eventually(lambda: waiting() == 2, lodge.log)
        with lodge.login("root", "pglodge") as console:
            assert sum(int(row[3]) for row in console.rows("SHOW POOLS")) == 2
        clients[0].rows("COMMIT")
        for client in clients[1:]:
            client.until(b"Z")
        eventually(lambda: waiting() == 0, lodge.log)
        for client in clients:
            client.close()


def test_who_finds_the_server_full_is_told_so_in_the_end(start_lodge, postgres):
    postgres.value("CREATE ROLE shut_out LOGIN CONNECTION LIMIT 0")
    with start_lodge(impatient(standard_routes(postgres.host), "300ms"), TRUST) as lodge:
        began = time.monotonic()
        with pytest.raises(ServerError) as caught:
            lodge.login("shut_out.globex", "crm")
        assert (caught.value.severity, caught.value.sqlstate) == ("FATAL", "53300")
        assert time.monotonic() - began >= 0.3
        with lodge.login("trusted.globex", "crm") as other:
            assert other.value("SELECT name FROM whoami") == "globex"


def test_who_waits_in_vain_is_told_the_server_s_last_words(start_lodge, relay):
    with start_lodge(impatient(table_by(relay), "1s"), TRUST) as lodge:
        relay.refusing = True
        started = time.monotonic()
        for wire in [begin(lodge) for _ in range(20)]:
            error = wire.refusal()
            wire.close()
            assert (error.severity, error.sqlstate) == ("FATAL", "08001")
            assert "main" in error.message
            assert relay.host in error.detail and ("reset" in error.detail or "broke" in error.detail)
        assert 0.9 < time.monotonic() - started < (30 if SANITIZED else 8)


def test_a_refused_connection_is_an_outage(start_lodge, relay):
    """Nobody listens, until somebody does: that is what a restart looks like to a client."""
    port = relay.port
    relay.__exit__()
    with start_lodge(table_by(relay), TRUST) as lodge:
        wire = begin(lodge)
        lodge.wait_for_log("Connection refused")
        with FaultyRelay(relay.to, port=port):
            wire.until(b"Z")
            assert wire.value("SELECT name FROM whoami") == "globex"
            wire.close()


@pytest.mark.parametrize("auth", ["trust", "passthrough"])
def test_a_connection_of_its_own_waits_as_well(start_lodge, relay, auth):
    table = table_by(relay)
    table["defaults"]["pool"] = "session"
    with start_lodge(table, {"auth": {"method": auth}, "timeouts": {"connect": "500ms"}}) as lodge:
        relay.hanging = True
        wire = begin(lodge)
        lodge.wait_for_log("no answer in time")
        relay.hanging = False
        wire.until(b"Z")
        assert wire.value("SELECT name FROM whoami") == "globex"
        wire.close()


def test_a_client_that_leaves_while_it_waits(start_lodge, relay):
    with start_lodge(table_by(relay), TRUST) as lodge:
        relay.refusing = True
        waiting = [begin(lodge) for _ in range(10)]
        lodge.wait_for_log("is out of reach, attempt 4,")
        for wire in waiting[:9]:
            wire.close()
        eventually(lambda: lodge.log().count("the client left") >= 9, lodge.log)
        relay.refusing = False
        waiting[9].until(b"Z")
        waiting[9].close()


def test_a_reload_leads_those_who_wait_elsewhere(start_lodge, relay, postgres):
    table = table_by(relay)
    table["defaults"]["pool"] = "transaction"
    with start_lodge(table, TRUST) as lodge:
        relay.refusing = True
        pooled = begin(lodge)
        lodge.wait_for_log("is out of reach")
        table["tenants"]["soylent"] = {"pool": "session"}
        lodge.reload(table)
        own = begin(lodge, "trusted.soylent")
        lodge.wait_for_log("is out of reach, attempt 4,")
        table["servers"]["main"]["hosts"] = [postgres.host]
        lodge.reload(table)
        for wire, name in ((pooled, "globex"), (own, "soylent")):
            wire.until(b"Z")
            assert wire.value("SELECT name FROM whoami") == name
            wire.close()


def test_one_tenant_s_missing_database_is_no_outage(start_lodge, relay):
    table = table_by(relay)
    table["tenants"]["nowhere"] = {"database": "dedicated", "schema": None}
    with start_lodge(table, TRUST) as lodge:
        for _ in range(5):
            with pytest.raises(ServerError) as caught:
                lodge.login("trusted.nowhere")
            assert caught.value.sqlstate == "3D000"
            started = time.monotonic()
            with lodge.login("trusted.umbrella") as wire:  # a pool of its own, that is closed soon
                assert wire.value("SELECT name FROM whoami") == "crm_umbrella"
            assert time.monotonic() - started < (20 if SANITIZED else 2)
        assert "out of reach" not in lodge.log()


def test_a_restart_is_not_noticed_by_who_is_idle_or_waits(start_lodge, postgres):
    """Only who was in a transaction hears of it: the server's own words, and no statement is run twice."""
    owner = postgres.connect("saas")
    owner.cursor().execute("CREATE TABLE public.once (who text); GRANT ALL ON public.once TO PUBLIC")
    owner.close()
    table = standard_routes(postgres.host)
    table["servers"]["main"]["max_connections"] = 5
    with start_lodge(table, TRUST) as lodge:
        idle = [lodge.login("trusted.globex") for _ in range(20)]
        for wire in idle:
            assert wire.value("SELECT name FROM whoami") == "globex"
        busy = lodge.login("trusted.soylent")
        busy.rows("BEGIN")
        busy.rows("INSERT INTO public.once VALUES ('in a transaction')")
        running = lodge.login("trusted.globex")
        running.send(query("INSERT INTO public.once VALUES ('autocommit'); SELECT pg_sleep(600)"))
        eventually(lambda: postgres.value(
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND pid <> pg_backend_pid()"), "it runs")
        postgres.halt("fast")
        with pytest.raises(ServerError) as caught:
            running.until(b"Z")
        assert caught.value.sqlstate == "57P01"
        with pytest.raises((ServerError, Closed)) as caught:
            busy.rows("SELECT 1")
        if caught.type is ServerError:
            assert caught.value.sqlstate == "57P01"
        for wire in idle[:10]:  # these ask while nobody is there
            wire.send(query("SELECT name FROM whoami"))
        lodge.wait_for_log("is out of reach, attempt 4,")
        postgres.launch()
        for wire in idle[:10]:
            assert wire.until(b"D", b"E")[-1][0] == b"D"
            wire.until(b"Z")
        for wire in idle[10:]:
            assert wire.value("SELECT name FROM whoami") == "globex"
        for wire in (*idle, busy, running):
            wire.close()
        assert postgres.value("SELECT count(*) FROM public.once", database="saas") == 0
    postgres.value("DROP TABLE public.once", database="saas")


def test_the_postmaster_is_killed(start_lodge, postgres):
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        wire = lodge.login("trusted.globex")
        assert wire.value("SELECT name FROM whoami") == "globex"
        busy = lodge.login("trusted.soylent")
        busy.rows("BEGIN")
        postgres.crash()
        with pytest.raises((ServerError, Closed)):
            while True:
                busy.rows("SELECT 1")
        wire.send(query("SELECT name FROM whoami"))
        postgres.launch()
        assert wire.until(b"D", b"E")[-1][0] == b"D"
        wire.close()
        busy.close()


def test_a_backend_is_killed(start_lodge, postgres):
    """With kill -9: PostgreSQL ends everybody (57P02) and recovers, which those who wait get over."""
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge:
        idle = lodge.login("trusted.globex")
        others = Path("/proc", idle.value("SELECT pg_backend_pid()"))
        busy = lodge.login("trusted.soylent")
        busy.rows("BEGIN")
        pid = int(busy.value("SELECT pg_backend_pid()"))
        postgres.kill_backend(pid)
        with pytest.raises((ServerError, Closed)):
            while True:
                busy.rows("SELECT 1")
        eventually(lambda: not others.exists(), "the others are ended, too")
        assert idle.value("SELECT name FROM whoami") == "globex"
        idle.close()
        busy.close()


@pytest.fixture
def pair():
    """Two servers with the same roles and tables, a primary and a standby."""
    first, second = Cluster(), Cluster()
    try:
        first.start()
        second.start()
        second.demote()
        yield first, second
    finally:
        first.stop()
        second.stop()


def test_the_primary_changes_and_changes_back(start_lodge, pair, tmp_path):
    """A host that becomes a standby, and a standby that becomes the primary, are noticed; the session goes along."""
    first, second = pair
    tmp_path.chmod(0o755)
    password = tmp_path / "password"
    password.write_text("pool password\n")
    password.chmod(0o640)
    table = standard_routes(first.host)
    table["servers"]["main"].update(hosts=[first.host, second.host], user="pool", password_file=str(password),
                                    health_check="100ms")
    with start_lodge(table, {**TRUST, "admin": {"users": ["root"]}}) as lodge:
        for one, role in ((first, "primary"), (second, "standby")):
            lodge.wait_for_log(f"{one.host} is {role}")
        table["tenants"]["newcomer"] = {}
        lodge.reload(table)                             # of which the watch goes on as before
        lodge.descriptors_before = lodge.descriptors()  # the watch keeps its connections
        wire = lodge.login("app.globex")
        assert wire.value("SELECT inet_server_port()") == str(first.port)
        for old, new in ((first, second), (second, first)):
            since = lodge.mark()
            old.demote()
            lodge.wait_for_log(f"{old.host} is standby", since=since)
            wire.send(query("SELECT inet_server_port()"))  # there is none as yet
            lodge.wait_for_log("is out of reach", since=since)
            new.promote()
            lodge.wait_for_log(f"{new.host} is primary", since=since)
            kind, body = wire.until(b"D", b"E")[-1]
            assert (kind, columns(body)) == (b"D", (str(new.port),))
            wire.until(b"Z")
            assert wire.value("SELECT name FROM whoami") == "globex"
        wire.close()
        with lodge.login("root", "pglodge") as console:
            assert [row[3] for row in console.rows("SHOW HOSTS")] == ["primary", "standby"]
        assert lodge.log().count(f"{first.host} is primary") == 2     # at the start, and when it was again


@pytest.mark.parametrize("user, role", [("trusted", "primary"), (None, "unknown")])
def test_a_server_that_is_back_is_noticed_though_nobody_comes(start_lodge, relay, user, role):
    table = impatient(table_by(relay, health_check="200ms", **({"user": user} if user else {})), "0s")
    admin = {"http": f"127.0.0.1:{free_port()}", "users": ["root"]}
    with start_lodge(table, {**TRUST, "admin": admin}) as lodge, lodge.login("root", "pglodge") as console:
        def seen():
            return Desk(lodge).metric('pglodge_server_in_reach{server="main"}'), console.rows("SHOW HOSTS")[0][3]
        relay.refusing = True
        with begin(lodge) as wire:
            assert wire.refusal().sqlstate == "08001"
        eventually(lambda: seen() == (0, "down"), seen)
        lodge.wait_for_log("is out of reach, attempt 4,")  # though the one client has left
        relay.refusing = False
        eventually(lambda: seen() == (1, role), seen)
        lodge.wait_for_log("answers again")
        eventually(lambda: relay.open == 0, "its connection is closed")
        asked = len(relay.attempts)
        with lodge.login("trusted.globex") as wire:
            assert wire.value("SELECT name FROM whoami") == "globex"
        assert len(relay.attempts) == asked + 1  # who serves is asked no more


# --- a server that is there, and lets the lodge in no more ---

@pytest.fixture
def password_file(tmp_path):
    tmp_path.chmod(0o755)
    made = tmp_path / "password"
    made.write_text("pool password\n")
    made.chmod(0o640)
    return made


@pytest.mark.parametrize("pool", ["transaction", "session"])
def test_the_lodges_own_login_is_refused(start_lodge, postgres, password_file, pool):
    """The client hears nothing of another's password being wrong, and who runs the lodge does."""
    password_file.write_text("yesterday's\n")
    table = standard_routes(postgres.host, pool=pool)
    table["servers"]["main"].update(user="pool", password_file=str(password_file))
    admin = {"http": f"127.0.0.1:{free_port()}", "users": ["root"]}
    with start_lodge(table, {**TRUST, "admin": admin}) as lodge:
        desk = Desk(lodge)
        failures = 'pglodge_server_login_failures_total{server="main"}'
        assert desk.metric(failures) == 0
        with begin(lodge, "app.globex") as wire:
            error = wire.refusal()
        assert (error.severity, error.sqlstate) == ("FATAL", "08001")
        assert "the lodge cannot log in" in error.message
        assert 'password authentication failed for user "pool"' in error.detail
        line = lodge.wait_for_log('server "main" refuses the lodge\'s own login as "pool": ')
        assert " error " in line and "see servers.main.user" in line
        eventually(lambda: desk.metric(failures) == 1, desk.metrics)
        with lodge.login("root", "pglodge") as console:
            row = console.rows("SHOW HOSTS")[0]
            assert 'password authentication failed for user "pool"' in row[6], row
        password_file.write_text("pool password\n")
        lodge.reload(table)
        with lodge.login("app.globex") as wire:
            assert wire.value("SELECT name FROM whoami") == "globex"
        assert desk.metric(failures) == 1


def test_a_servers_password_that_the_lodge_has_not(start_lodge, postgres):
    table = standard_routes(postgres.host)
    table["servers"]["main"]["user"] = "pool"
    with start_lodge(table, TRUST) as lodge, begin(lodge, "app.globex") as wire:
        assert wire.refusal().sqlstate == "08001"
        lodge.wait_for_log('refuses the lodge\'s own login as "pool": it asks for a password')


def test_a_login_as_the_client_is_the_clients_own(start_lodge, postgres):
    """Without a user of the server's a refusal is about the client, in the server's own words."""
    with start_lodge(standard_routes(postgres.host), TRUST) as lodge, begin(lodge, "nobody.globex") as wire:
        error = wire.refusal()
        assert (error.sqlstate, error.message) == ("28000", 'role "nobody" does not exist')
        assert " error " not in lodge.log()
