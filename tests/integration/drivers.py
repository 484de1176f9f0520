"""The programs and libraries people connect with, behind one face: `row` logs in and gives a question's first row, `ask`
says as whom it came in, and to whose table.

A driver that is not installed has the reason in `missing`. None reads the home folder of whoever runs the tests: what
is not said here is not there.
"""

import asyncio
import functools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import pytest
from certificates import key_of
from cluster import BIN

JDBC = Path("/usr/share/java/postgresql.jar")
QUESTION = "SELECT session_user, name FROM whoami"


class Refused(Exception):
    """The driver did not get in; its words."""


@dataclass(frozen=True)
class Way:
    """How to get in. With an authority the driver speaks TLS and checks the name, without one it speaks none."""
    port: int
    user: str
    database: str
    password: str = None
    authority: Path = None
    certificate: Path = None
    bound: bool = None  # the channel binding of SCRAM is demanded, or is not to be tried; else as the driver likes
    direct: bool = False  # TLS from the first byte


def run(*command, **environment):
    """What it printed."""
    done = subprocess.run([str(part) for part in command], env={**os.environ, **environment}, capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


@functools.cache
def node():
    """The environment in which Node finds the package pg, be it Debian's or npm's; None if there is none."""
    if not shutil.which("node"):
        return None
    folders = ["/usr/share/nodejs"]
    if shutil.which("npm"):
        folders.append(subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False).stdout.strip())
    environment = {"NODE_PATH": ":".join([*folders, os.environ.get("NODE_PATH", "")])}
    try:
        run("node", "-e", "require('pg')", **environment)
    except Refused:
        return None
    return environment


def libpq_parameters(way):
    words = {"host": "localhost", "port": way.port, "user": way.user, "dbname": way.database, "password": way.password,
             "sslmode": "verify-full" if way.authority else "disable", "sslrootcert": way.authority,
             "sslcert": way.certificate or "/nowhere", "sslkey": key_of(way.certificate) if way.certificate else None,
             "gssencmode": "disable", "connect_timeout": 15}
    if way.bound is not None:
        words["channel_binding"] = "require" if way.bound else "disable"
    if way.direct:
        words["sslnegotiation"] = "direct"
    return {name: str(value) for name, value in words.items() if value is not None}


class Driver:
    missing = None
    binds = False  # it can demand channel binding
    direct = False  # it can do without SSLRequest
    parameter = None  # how its statements say that a value comes apart from them

    def __str__(self):
        return type(self).__name__.lower()

    def ask(self, way):
        if not self.parameter:
            return self.row(way, QUESTION)
        return self.row(way, f"{QUESTION} WHERE name <> {self.parameter}", "x")


class Psql(Driver):
    binds = True

    def row(self, way, sql):
        words = " ".join(f"{name}='{value}'" for name, value in libpq_parameters(way).items())
        return tuple(run(BIN / "psql", "-XAtwF,", words, "-c", sql, HOME="/nowhere").splitlines()[0].split(","))


class Psycopg2(Driver):
    binds = True
    direct = psycopg2.extensions.libpq_version() >= 170000

    def row(self, way, sql):
        try:
            connection = psycopg2.connect(**libpq_parameters(way))
        except psycopg2.OperationalError as error:
            raise Refused(str(error)) from error
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()
        finally:
            connection.close()


class Psycopg(Driver):
    binds = True
    direct = psycopg.pq.version() >= 170000
    parameter = "%s"

    def row(self, way, sql, *values):
        try:
            with psycopg.connect(**libpq_parameters(way)) as connection:
                return connection.execute(sql, values, prepare=True).fetchone()
        except psycopg.OperationalError as error:
            raise Refused(str(error)) from error


class Asyncpg(Driver):
    direct = True
    parameter = "$1"

    def row(self, way, sql, *values):
        context = False
        if way.authority:
            context = ssl.create_default_context(cafile=way.authority)
            if way.direct:
                context.set_alpn_protocols(["postgresql"])
            if way.certificate:
                context.load_cert_chain(way.certificate, key_of(way.certificate))

        async def session():
            connection = await asyncpg.connect(host="localhost", port=way.port, user=way.user, database=way.database,
                                               password=way.password, passfile="/nowhere", ssl=context,
                                               direct_tls=way.direct, timeout=15)
            try:
                return tuple(await connection.fetchrow(sql, *values))
            finally:
                await connection.close()
        try:
            return asyncio.run(session())
        except asyncpg.PostgresError as error:
            raise Refused(str(error)) from error


class Node(Driver):
    """node-postgres."""
    binds = direct = True
    parameter = "$1"
    SCRIPT = """
        const { readFileSync } = require('fs');
        const { Client } = require('pg');
        const { tls, ...way } = JSON.parse(process.argv[1]);
        if (tls) way.ssl = Object.fromEntries(Object.entries(tls).map(([name, file]) => [name, readFileSync(file)]));
        (async () => {
          const client = new Client(way);
          await client.connect();
          const answer = await client.query({ text: process.argv[2], values: process.argv.slice(3), rowMode: 'array' });
          console.log(JSON.stringify(answer.rows[0]));
          await client.end();
        })().catch(error => { console.error(error.message); process.exit(1); });"""

    @property
    def missing(self):
        return None if node() else "Node with the package pg is not installed (packaging/dependencies.sh --all does)"

    def row(self, way, sql, *values):
        words = {"host": "localhost", "port": way.port, "user": way.user, "database": way.database, "password": way.password,
                 "enableChannelBinding": bool(way.bound)}
        if way.authority:
            words["tls"] = {"ca": str(way.authority)}
            if way.certificate:
                words["tls"] |= {"cert": str(way.certificate), "key": str(key_of(way.certificate))}
        if way.direct:
            words["sslnegotiation"] = "direct"
        return tuple(json.loads(run("node", "-e", self.SCRIPT, json.dumps(words), sql, *values, **node())))


class Jdbc(Driver):
    parameter = "?"
    # Url, question, how many values, these, and the way in by names and values.
    PROGRAM = """
        import java.sql.*;
        import java.util.Properties;

        class Ask {
          public static void main(String[] words) throws SQLException {
            int values = Integer.parseInt(words[2]);
            Properties way = new Properties();
            for (int i = 3 + values; i < words.length; i += 2) way.setProperty(words[i], words[i + 1]);
            try (Connection connection = DriverManager.getConnection(words[0], way);
                 PreparedStatement question = connection.prepareStatement(words[1])) {
              for (int i = 1; i <= values; ++i) question.setString(i, words[2 + i]);
              ResultSet answer = question.executeQuery();
              answer.next();
              int columns = answer.getMetaData().getColumnCount();
              for (int i = 1; i <= columns; ++i) System.out.print((i > 1 ? "," : "") + answer.getString(i));
              System.out.println();
            }
          }
        }"""

    @property
    def missing(self):
        if not JDBC.exists():
            return "libpostgresql-jdbc-java is not installed (packaging/dependencies.sh --all does)"
        return None if shutil.which("javac") else "a JDK is not installed (packaging/dependencies.sh --all does)"

    @functools.cached_property
    def _folder(self):
        """With the program, compiled once."""
        folder = tempfile.TemporaryDirectory(prefix="pglodge-jdbc-")
        source = Path(folder.name) / "Ask.java"
        source.write_text(self.PROGRAM)
        run("javac", "-d", folder.name, source)
        return folder

    def row(self, way, sql, *values):
        # Its driver reads private keys as DER only.
        words = {"user": way.user, "connectTimeout": 15, "gssEncMode": "disable",
                 "sslmode": "verify-full" if way.authority else "disable"}
        if way.password is not None:
            words["password"] = way.password
        if way.authority:
            words["sslrootcert"] = way.authority
        if way.certificate:
            der = key_of(way.certificate).with_suffix(".pk8")
            run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", key_of(way.certificate), "-outform", "DER", "-out", der)
            words |= {"sslcert": way.certificate, "sslkey": der}
        url = f"jdbc:postgresql://localhost:{way.port}/{way.database.replace('@', '%40')}"
        pairs = [part for pair in words.items() for part in pair]
        small = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"]
        return tuple(run("java", *small, "-cp", f"{self._folder.name}:{JDBC}", "Ask", url, sql, len(values), *values,
                         *pairs).strip().split(","))


PSQL = Psql()
ALL = [PSQL, Psycopg2(), Psycopg(), Asyncpg(), Node(), Jdbc()]


def drivers(which=lambda driver: True):
    """For parametrize: those, the missing ones skipped."""
    def marks(driver):
        return pytest.mark.skipif(bool(driver.missing), reason=driver.missing or "")
    return [pytest.param(driver, id=str(driver), marks=marks(driver)) for driver in ALL if which(driver)]
