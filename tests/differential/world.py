"""The worlds that are compared: one PostgreSQL, and ways to it: directly, through a lodge, through another pooler.

Both ways lead to the same server and databases, one after the other, so that names and contents are the same; in between
the data is put back. Directly, a tenant's search_path, role and settings are in the startup packet, which is how the
contract says that a session through the lodge looks: RESET and DISCARD ALL come back to them.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from cluster import Cluster, free_port  # noqa: E402
from lodge import Lodge, eventually  # noqa: E402
from wire import Closed, ServerError, Wire  # noqa: E402

ROLE = "trusted"
PGBOUNCER = "/usr/sbin/pgbouncer"


@dataclass(frozen=True)
class Tenant:
    dbname: str
    schemas: tuple           # its own: the first is where its tables are, each has `whoami` and `items`
    search_path: tuple = ()  # empty is the server's own
    role: str = ""
    settings: tuple = ()     # of pairs

    def startup(self):
        """As the server is sent it; the last of several parameters with one name counts there."""
        pairs = [("search_path", ", ".join(f'"{name}"' for name in self.search_path))] if self.search_path else []
        return pairs + ([("role", self.role)] if self.role else []) + list(self.settings)

    def route(self):
        made = {"database": self.dbname, "schema": None, "guard": "off"}
        if self.search_path:
            made["search_path"] = list(self.search_path)
        if self.role:
            made["role"] = self.role
        if self.settings:
            made["settings"] = dict(self.settings)
        return made


# Two that share a database, one of them in a role and settings of its own, and one that has a database of its own.
TENANTS = {
    "globex": Tenant("saas", ("tenant_globex", "tenant_globex_2"), ("tenant_globex", "public")),
    "soylent": Tenant("saas", ("tenant_soylent", "tenant_soylent_2"), ("tenant_soylent", "public"), "tenant_soylent",
                      (("app.tenant_id", "7"), ("work_mem", "5MB"), ("IntervalStyle", "iso_8601"))),
    "acme": Tenant("acme", ("public", "extra")),
}

CLIENTS = 4                  # at most, in a scenario; each has tables of its own, whose names begin with c0_ to c3_

SETUP_DATABASE = """
CREATE SCHEMA harness;
GRANT USAGE ON SCHEMA harness TO PUBLIC;
CREATE FUNCTION harness.clean() RETURNS int LANGUAGE plpgsql AS $$
DECLARE what record; dropped int := 0;
BEGIN
  FOR what IN SELECT oid::regclass AS name, relkind FROM pg_class
      WHERE relname >= 'c0_x' AND relname < 'c9_y' AND relname ~ '^c[0-9]_x' AND relkind IN ('r', 'v', 'S') AND relpersistence <> 't'
  LOOP
    BEGIN
      EXECUTE format('DROP %s IF EXISTS %s CASCADE', CASE what.relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' ELSE 'SEQUENCE' END,
                     what.name);
      dropped := dropped + 1;
    EXCEPTION WHEN undefined_table THEN NULL;
    END;
  END LOOP;
  FOR what IN SELECT oid::regprocedure AS name FROM pg_proc WHERE proname >= 'c0_x' AND proname < 'c9_y' AND proname ~ '^c[0-9]_x' LOOP
    EXECUTE format('DROP ROUTINE %s CASCADE', what.name);
    dropped := dropped + 1;
  END LOOP;
  FOR what IN SELECT oid::regtype AS name FROM pg_type WHERE typtype = 'e' AND typname ~ '^c[0-9]_x' LOOP
    EXECUTE format('DROP TYPE %s CASCADE', what.name);
    dropped := dropped + 1;
  END LOOP;
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
  RETURN dropped;
END $$;
-- What no text shows: tables that take longer to drop than the timeout allows.
CREATE FUNCTION harness.spoil() RETURNS void LANGUAGE plpgsql SET client_min_messages = error AS $$
BEGIN
  FOR n IN 1..30 LOOP
    EXECUTE format('CREATE TEMP TABLE IF NOT EXISTS spoilt_%s ()', n);
  END LOOP;
  PERFORM set_config('statement_timeout', '1', false);
END $$;
"""

SETUP_TENANT = """
CREATE SCHEMA IF NOT EXISTS {first};
CREATE SCHEMA IF NOT EXISTS {second};
GRANT USAGE, CREATE ON SCHEMA {first}, {second} TO {role}, tenant_{tenant};
DROP TABLE IF EXISTS {first}.whoami;
CREATE TABLE {first}.whoami (name text);  INSERT INTO {first}.whoami VALUES ('{tenant}, first');
CREATE TABLE {second}.whoami (name text, more int); INSERT INTO {second}.whoami VALUES ('{tenant}, second', 2);
CREATE TABLE {first}.items (id int PRIMARY KEY, name text, price numeric(10,2), made date, at timestamptz, took interval,
                            data bytea, f float8, ok bool, tags text[]);
INSERT INTO {first}.items SELECT g, CASE WHEN g % 7 = 0 THEN NULL ELSE 'Gr\u00fc\u00dfe ' || g END, g * 1.37, date '2024-02-27' + g,
  timestamptz '2024-03-30 22:15:00+00' + g * interval '1 hour', g * interval '1 day 2:03:04.5',
  decode(lpad(to_hex(g * 31), 4, '0'), 'hex') || '\\x005c27'::bytea, g / 3.0::float8, g % 3 = 0, ARRAY['a', '{tenant}', g::text]
  FROM generate_series(1, 20) g;
CREATE TABLE {second}.items (id int PRIMARY KEY, name text);
INSERT INTO {second}.items SELECT g, 'second ' || g FROM generate_series(1, 5) g;
GRANT SELECT ON {first}.whoami, {second}.whoami, {first}.items, {second}.items TO PUBLIC;
CREATE FUNCTION {first}.set_it(name text, value text, local bool) RETURNS text LANGUAGE plpgsql AS $$
  BEGIN PERFORM set_config(name, value, local); RETURN current_setting(name); END $$;
CREATE FUNCTION {first}.noisy(what text) RETURNS int LANGUAGE plpgsql AS $$
  BEGIN RAISE NOTICE 'noise: %', what USING DETAIL = 'of ' || current_schema(), HINT = 'none'; RAISE WARNING 'louder'; RETURN 1; END $$;
CREATE FUNCTION {first}.clothed() RETURNS text LANGUAGE sql SET DateStyle = 'German' SET app.within = 'in' AS $$
  SELECT current_setting('DateStyle') || date '2024-12-31'::text $$;
CREATE PROCEDURE {first}.commits(log regclass, n int) LANGUAGE plpgsql AS $$
  BEGIN EXECUTE format('INSERT INTO %s VALUES (%s)', log, n); COMMIT;
        EXECUTE format('INSERT INTO %s VALUES (%s)', log, n + 1); ROLLBACK; END $$;
"""

SETUP_CLIENT = """
CREATE TABLE {schema}.c{n}_a (id int PRIMARY KEY, v text, n int NOT NULL DEFAULT 0 CHECK (n < 1000));
CREATE TABLE {schema}.c{n}_b (k text, x float8, d date);
CREATE TABLE {schema}.c{n}_u (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, v text);
CREATE TABLE {schema}.c{n}_log (n int);
CREATE SEQUENCE {schema}.c{n}_s;
GRANT ALL ON {schema}.c{n}_a, {schema}.c{n}_b, {schema}.c{n}_u, {schema}.c{n}_log TO PUBLIC;
GRANT ALL ON SEQUENCE {schema}.c{n}_s TO PUBLIC;
"""

RESET_CLIENT = """
DELETE FROM {schema}.c{n}_a; INSERT INTO {schema}.c{n}_a SELECT g, 'v' || g, g * 10 FROM generate_series(1, 5) g;
DELETE FROM {schema}.c{n}_b; INSERT INTO {schema}.c{n}_b VALUES ('one', 1.5, '2024-01-31'), ('two', -0.1, NULL);
DELETE FROM {schema}.c{n}_u; INSERT INTO {schema}.c{n}_u VALUES (1, 'u'); DELETE FROM {schema}.c{n}_log;
SELECT setval('{schema}.c{n}_s', 1, false);
"""

# What a session that has ended must not leave behind for others.
LEFTOVERS = """
SELECT 'an advisory lock' FROM pg_locks WHERE locktype = 'advisory'
UNION ALL SELECT 'a transaction, ' || state || ': ' || left(query, 60) FROM pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND (xact_start IS NOT NULL OR state LIKE 'idle in%')
  AND query NOT LIKE '%harness.spoil()%'
"""


class Postgres:
    """The server and its data."""

    def __init__(self, port=None):
        self.cluster = Cluster()
        if port:
            self.cluster.port = port
        self.admins = {}
        self.runs = 0

    def start(self):
        self.cluster.start()
        admin = self.admin("postgres")
        admin.rows("ALTER SYSTEM SET autovacuum = off")      # so that heaps look alike, and nothing else holds locks
        admin.rows("SELECT pg_reload_conf()")
        for dbname in sorted({tenant.dbname for tenant in TENANTS.values()}):
            self.admin(dbname).rows(SETUP_DATABASE)
        for name, tenant in TENANTS.items():
            admin, (first, second) = self.admin(tenant.dbname), tenant.schemas
            admin.rows(SETUP_TENANT.format(first=first, second=second, tenant=name, role=ROLE))
            for number in range(CLIENTS):
                admin.rows(SETUP_CLIENT.format(schema=first, n=number))
        return self

    def admin(self, dbname):
        """A superuser's connection, kept."""
        if dbname not in self.admins:
            self.admins[dbname] = Wire(("127.0.0.1", self.cluster.port), 20).login(
                "postgres", dbname, client_encoding="UTF8", options="-c lock_timeout=5s -c statement_timeout=15s "
                "-c client_min_messages=error")
        return self.admins[dbname]

    def reset(self, scenario, tidy=False):
        """Puts the data back that the clients may have changed. Gives what a client left behind that it should not have.

        `tidy` every now and then vacuums, which nothing else does; not between two runs, whose plans it might change.
        """
        left = self.leftover()
        if left:
            return left
        self.runs += tidy
        scripts = {}
        for number, client in enumerate(scenario.clients):
            tenant = TENANTS[client.tenant]
            scripts.setdefault(tenant.dbname, []).append(RESET_CLIENT.format(schema=tenant.schemas[0], n=number))
        for dbname, parts in scripts.items():
            try:
                self.admin(dbname).rows("SET client_min_messages = error; SELECT harness.clean();" + "".join(parts))
                if tidy and self.runs % 200 == 0:
                    self.admin(dbname).rows("VACUUM")
            except ServerError as error:
                return f"the data cannot be put back: {error.message} {error.detail}"
        return None

    def leftover(self, seconds=5):
        """What is still there of sessions that have ended, after that time; None is how it should be."""
        until = time.monotonic() + seconds
        while True:
            left = self.admin("postgres").rows(LEFTOVERS)
            if not left:
                return None
            if time.monotonic() > until:
                return f"left behind for {seconds} s by clients that are gone: {', '.join(row[0] for row in left)}"
            time.sleep(0.002)

    def end_sessions(self):
        """Of all clients, whoever holds them, and waits until those are gone that were there."""
        admin = self.admin("postgres")
        there = admin.rows(f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND backend_type = 'client backend'")
        pids = ",".join(pid for pid, in there) or "0"
        admin.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN ({pids})")
        eventually(lambda: not admin.rows(f"SELECT 1 FROM pg_stat_activity WHERE pid IN ({pids})"), "all sessions are gone", 5)

    def stop(self):
        for admin in self.admins.values():
            admin.close()
        self.cluster.stop()


class World:
    """A way to the server. `pool_size` is how many server connections its clients share; None is one each."""
    name, pool_size, address = "", float("inf"), None

    def startup(self, client):
        raise NotImplementedError

    def check(self):
        """Gives what is wrong with it, as text, or None."""
        return None

    def start(self):
        return self

    def stop(self):
        pass


class Direct(World):
    def __init__(self, postgres, name="direct"):
        self.name, self.address = name, ("127.0.0.1", postgres.cluster.port)

    def startup(self, client):
        tenant = TENANTS[client.tenant]
        return [("user", ROLE), ("database", tenant.dbname), *client.startup, *tenant.startup()]


class ThroughLodge(World):
    def __init__(self, postgres, size):
        self.name, self.pool_size = f"lodge, pool of {size}", size
        pool = {"mode": "transaction", "size": size}
        self.lodge, self.routes = None, yaml.safe_dump({
            "hints": [{"user": "{role}.{tenant}"}],
            "servers": {"main": {"hosts": [postgres.cluster.host]}},
            "databases": {dbname: {"server": "main", "dbname": dbname, "pool": pool}
                          for dbname in sorted({tenant.dbname for tenant in TENANTS.values()})},
            "tenants": {name: tenant.route() for name, tenant in TENANTS.items()},
        }, sort_keys=False).replace("'off'", "off")       # on and off are written without quotes

    def start(self):
        self.lodge = Lodge(self.routes, {"auth": {"method": "trust"}, "log": {"level": "info"},
                                         "timeouts": {"query_wait_notify": 0}})  # a server of one's own says nothing of that
        self.lodge.start()
        self.address = self.lodge.address
        return self

    def startup(self, client):
        return [("user", f"{ROLE}.{client.tenant}"), ("database", "crm"), *client.startup]

    def check(self):
        return None if self.lodge.alive() else f"the lodge is gone:\n{self.lodge.log()[-3000:]}"

    def stop(self):
        if not self.lodge:
            return
        try:
            self.lodge.finish(check=False)
        finally:
            shutil.rmtree(self.lodge.folder, ignore_errors=True)


class ThroughSpoiltLodge(ThroughLodge):
    """The same, while somebody's functions leave behind, again and again, what the next one's connection cannot be dressed by."""

    def __init__(self, postgres, size):
        super().__init__(postgres, size)
        self.name += ", spoilt"
        routes = yaml.safe_load(self.routes)
        self.spoilers = {f"spoiler_{dbname}": {"database": dbname, "guard": False} for dbname in routes["databases"]}
        routes["tenants"] |= self.spoilers
        self.routes = routes
        self.over, self.threads = threading.Event(), []

    def start(self):
        super().start()
        self.threads = [threading.Thread(target=self.spoil, args=(tenant,), daemon=True) for tenant in self.spoilers]
        for thread in self.threads:
            thread.start()
        return self

    def spoil(self, tenant):
        while not self.over.is_set():
            # Its own statements fail by it, too, and its connections are ended now and then.
            with contextlib.suppress(ServerError, OSError, Closed), Wire(self.address, 20) as wire:
                wire.login(f"{ROLE}.{tenant}", "crm")
                while not self.over.wait(0.03):
                    wire.rows("SELECT harness.spoil()")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
        super().stop()


class ThroughPooler(World):
    """Some other pooler that knows each tenant as a database of its name."""

    def __init__(self, address, size):
        self.name, self.address, self.pool_size = f"{address[0]}:{address[1]}", address, size

    def startup(self, client):
        return [("user", ROLE), ("database", client.tenant), *client.startup]


class ThroughPgbouncer(ThroughPooler):
    """Debian's PgBouncer, to see that the test can fail."""

    def __init__(self, postgres, size):
        super().__init__(("127.0.0.1", free_port()), size)
        self.name = f"PgBouncer, pool of {size}"
        self.folder = Path(tempfile.mkdtemp(prefix="pglodge-pgbouncer-"))
        lines = ["[databases]"]
        for name, tenant in TENANTS.items():
            dress = "; ".join(f"SELECT set_config(''{key}'', ''{value}'', false)" for key, value in tenant.startup())
            lines.append(f"{name} = host=127.0.0.1 port={postgres.cluster.port} dbname={tenant.dbname}"
                         + (f" connect_query='{dress}'" if dress else ""))
        lines += ["[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {self.address[1]}", "unix_socket_dir =",
                  "auth_type = trust", f"auth_file = {self.folder}/users",
                  "pool_mode = transaction", f"default_pool_size = {size}", f"logfile = {self.folder}/log",
                  "ignore_startup_parameters = extra_float_digits,options,bytea_output,statement_timeout,IntervalStyle",
                  "query_wait_timeout = 10", "max_client_conn = 100"]
        (self.folder / "ini").write_text("\n".join(lines) + "\n")
        (self.folder / "users").write_text(f'"{ROLE}" ""\n')
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.process = None

    def start(self):
        with open(self.folder / "output", "wb") as output:
            self.process = subprocess.Popen([PGBOUNCER, str(self.folder / "ini")], stdout=output, stderr=output,
                                            user="postgres" if os.geteuid() == 0 else None, cwd=self.folder)
        until = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), Wire(self.address, 5):
                return self
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError((self.folder / "output").read_text())
            time.sleep(0.05)

    def check(self):
        return None if self.process.poll() is None else "PgBouncer is gone"

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=10)
        shutil.rmtree(self.folder, ignore_errors=True)
