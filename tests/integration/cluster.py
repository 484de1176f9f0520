"""A throwaway PostgreSQL 15 for one test session, with the tenants that the tests route to.

PostgreSQL refuses to run as root, so as root everything of it runs as the system user postgres. Nothing waits by the
clock: pg_ctl returns when the server answers.
"""

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg2

from certificates import Authority, key_of

BIN = Path(os.environ.get("PGLODGE_POSTGRES_BIN", "/usr/lib/postgresql/15/bin"))

PASSWORD = "open sesame"

# How a role is let in is what pg_hba.conf says: the name tells.
HBA = """\
local all all trust
hostssl all app_tls,asker 127.0.0.1/32 scram-sha-256
hostssl all app_cert 127.0.0.1/32 cert
hostnossl all app_tls,app_cert,asker all reject
hostnossl all app_no_tls 127.0.0.1/32 trust
hostssl all app_no_tls all reject
host all app 127.0.0.1/32 scram-sha-256
host all app_md5 127.0.0.1/32 md5
host all app_plain 127.0.0.1/32 password
host all pool 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""

ROLES = f"""
CREATE ROLE tenant_globex NOLOGIN;
CREATE ROLE tenant_soylent NOLOGIN;
CREATE ROLE tenant_acme NOLOGIN;
CREATE ROLE tenant_initech NOLOGIN;
SET password_encryption = 'scram-sha-256';
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE app_plain LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE app_tls LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE app_cert LOGIN;
CREATE ROLE pool LOGIN PASSWORD 'pool password';
CREATE ROLE asker LOGIN PASSWORD 'asker password';
SET password_encryption = 'md5';
CREATE ROLE app_md5 LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE app_no_tls LOGIN;
CREATE ROLE trusted LOGIN;
CREATE ROLE intruder LOGIN;
GRANT tenant_globex, tenant_soylent, tenant_acme, tenant_initech TO app, app_md5, app_plain, app_tls, app_cert, app_no_tls, trusted;
GRANT app, app_md5, tenant_globex, tenant_soylent TO pool;
GRANT pg_signal_backend TO trusted;
CREATE DATABASE saas;
CREATE DATABASE acme;
CREATE DATABASE crm_umbrella;
"""

SHARED = """
CREATE SCHEMA tenant_globex AUTHORIZATION tenant_globex;
CREATE SCHEMA tenant_soylent AUTHORIZATION tenant_soylent;
CREATE SCHEMA tenant_acme AUTHORIZATION tenant_acme;
GRANT USAGE, CREATE ON SCHEMA tenant_globex, tenant_soylent, tenant_acme TO app, app_md5, app_plain, trusted;
CREATE TABLE tenant_globex.whoami (name text);  INSERT INTO tenant_globex.whoami VALUES ('globex');
CREATE TABLE tenant_soylent.whoami (name text); INSERT INTO tenant_soylent.whoami VALUES ('soylent');
CREATE TABLE tenant_acme.whoami (name text);    INSERT INTO tenant_acme.whoami VALUES ('acme, shared');
GRANT ALL ON ALL TABLES IN SCHEMA tenant_globex, tenant_soylent, tenant_acme TO PUBLIC;
CREATE TABLE public.notes (tenant_id text NOT NULL, note text NOT NULL);
INSERT INTO public.notes VALUES ('42', 'of initech'), ('43', 'of somebody else');
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.notes USING (tenant_id = current_setting('app.tenant_id', true));
GRANT ALL ON public.notes TO PUBLIC;
GRANT SELECT ON pg_catalog.pg_authid TO asker;
"""

DEDICATED = "CREATE TABLE whoami (name text); INSERT INTO whoami VALUES (current_database()); GRANT ALL ON whoami TO PUBLIC;"


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def free_port():
    """None of those that the kernel gives to outgoing connections: one of them could come in between."""
    least = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(least // 3, least)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Cluster:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pglodge-pg-"))
        self.port = free_port()
        self.data = self.folder / "data"
        self.authority = Authority(self.folder / "certificates")
        self.certificate = self.authority.issue("postgres", "postgres", hosts=["localhost", "127.0.0.1"])
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in (self.folder, key_of(self.certificate)):
                os.chown(path, user.pw_uid, user.pw_gid)

    @property
    def host(self):
        """As routes.yaml writes it."""
        return f"127.0.0.1:{self.port}"

    def run(self, *command):
        command = [str(part) for part in command]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    def start(self):
        self.run(BIN / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "--no-sync")
        (self.data / "pg_hba.conf").write_text(HBA)
        self.launch()
        for database, script in (("postgres", ROLES), ("saas", SHARED), ("acme", DEDICATED), ("crm_umbrella", DEDICATED)):
            with_database = self.connect(database)
            for statement in filter(str.strip, script.split(";")):
                with_database.cursor().execute(statement)
            with_database.close()

    def launch(self):
        settings = {
            "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.folder, "fsync": "off",
            "full_page_writes": "off", "max_connections": 300, "shared_buffers": "64MB",
            "ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": key_of(self.certificate),
            "ssl_ca_file": self.authority.file,
        }
        flags = " ".join(f"-c {name}={value}" for name, value in settings.items())
        # A file, not a pipe: the server keeps it open for as long as it lives.
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-l", self.folder / "log", "-o", flags, "start")

    def halt(self, mode):
        """Ends it; `launch` starts it again."""
        self.run(BIN / "pg_ctl", "-D", self.data, "-w", "-s", "-m", mode, "stop")

    def demote(self):
        """Starts it again as a standby, of nobody; `promote` makes it a primary again."""
        self.halt("fast")
        self.run("touch", self.data / "standby.signal")
        self.launch()

    def promote(self):
        self.value("SELECT pg_promote()")

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def crash(self):
        """Kills the postmaster, whose children then end by themselves, and waits for that."""
        group = [self.postmaster(), *self.children(self.postmaster())]
        os.kill(group[0], signal.SIGKILL)
        until = time.monotonic() + 30
        while any(alive(pid) for pid in group):
            assert time.monotonic() < until, "PostgreSQL's processes outlive their postmaster"
            time.sleep(0.02)
        # Where nobody reaps orphans, PostgreSQL would take the dead one for another that runs.
        (self.data / "postmaster.pid").unlink()
        (self.folder / f".s.PGSQL.{self.port}.lock").unlink()

    def kill_backend(self, pid):
        assert pid in self.children(self.postmaster())
        os.kill(pid, signal.SIGKILL)

    @staticmethod
    def children(parent):
        return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]

    def connect(self, database="postgres", user="postgres"):
        """A connection past the lodge, as superuser unless said otherwise."""
        connection = psycopg2.connect(host=str(self.folder), port=self.port, dbname=database, user=user)
        connection.autocommit = True
        return connection

    def sleeps(self, count=1):
        """Whether so many sessions are in pg_sleep()."""
        return self.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == count

    def value(self, sql, *arguments, database="postgres"):
        connection = self.connect(database)
        try:
            cursor = connection.cursor()
            cursor.execute(sql, arguments or None)
            return cursor.fetchone()[0] if cursor.description else None
        finally:
            connection.close()

    def stop(self):
        if (self.data / "postmaster.pid").exists() and alive(self.postmaster()):
            self.run(BIN / "pg_ctl", "-D", self.data, "-s", "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)
