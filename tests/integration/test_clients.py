"""The programs and libraries people use, to a schema tenant and to a dedicated database."""

import asyncio
import json
import os
import subprocess

import asyncpg
import psycopg
import psycopg2
import pytest
from cluster import BIN, PASSWORD
from drivers import node

HOMES = [("globex", "globex"), ("acme", "acme")]


@pytest.fixture(scope="module", autouse=True)
def allowed_to_create(postgres):
    postgres.value("GRANT ALL ON SCHEMA public TO app, trusted", database="acme")


def run(*command, **environment):
    done = subprocess.run([str(part) for part in command], env={**os.environ, "PGPASSWORD": PASSWORD, **environment},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("tenant, name", HOMES)
def test_psql(lodge, tenant, name):
    url = f"postgres://app.{tenant}@127.0.0.1:{lodge.port}/crm"
    assert run(BIN / "psql", "-XAt", url, "-c", "SELECT name FROM whoami") == f"{name}\n"
    assert f" {name}\n" in run(BIN / "psql", "-X", url, "-c", "\\d whoami", "-c", "TABLE whoami")
    by_options = f"postgres://app@127.0.0.1:{lodge.port}/crm?options=-c%20app.tenant%3D{tenant}"
    assert run(BIN / "psql", "-XAt", by_options, "-c", "SELECT name FROM whoami") == f"{name}\n"


def test_psql_by_unix_socket_and_reconnecting(lodge):
    script = "SELECT name FROM whoami;\n\\c\nSELECT name FROM whoami;\n"
    done = subprocess.run([BIN / "psql", "-XAtq", "-h", lodge.folder, "-p", "6432", "-U", "trusted.globex", "crm"],
                          input=script, capture_output=True, text=True, check=True)
    assert done.stdout == "globex\nglobex\n"


@pytest.fixture(scope="module", params=["globex", "acme"])
def pgbench(request, lodge):
    """pgbench, with its tables made through the lodge."""
    def bench(*options):
        return run(BIN / "pgbench", "-h", "127.0.0.1", "-p", lodge.port, "-U", f"app.{request.param}", *options, "crm")
    bench("-i", "-q")
    return bench


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
@pytest.mark.parametrize("more", [[], ["-C"], ["-S"]])
def test_pgbench(pgbench, mode, more):
    out = pgbench("-n", "-M", mode, "-c", "8", "-j", "2", "-t", "10" if more == ["-C"] else "50", *more)
    total = 80 if more == ["-C"] else 400
    assert f"number of transactions actually processed: {total}/{total}" in out


def test_pgbench_pipelines(pgbench, tmp_path):
    script = tmp_path / "pipeline.sql"
    script.write_text("\\startpipeline\nSELECT 1;\nSELECT 2;\nSELECT 3;\n\\endpipeline\n")
    assert "processed: 400/400" in pgbench("-n", "-M", "extended", "-c", "4", "-t", "100", "-f", script)


@pytest.mark.parametrize("tenant, name", HOMES)
def test_psycopg2(lodge, tenant, name):
    with psycopg2.connect(f"postgres://app.{tenant}:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{lodge.port}/crm") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (x int); INSERT INTO t SELECT generate_series(1, 1000)")
        cursor.execute("SELECT name, (SELECT sum(x) FROM t) FROM whoami")
        assert cursor.fetchone() == (name, 500500)
        named = connection.cursor("by_the_server")
        named.execute("SELECT x FROM t ORDER BY x")
        assert named.fetchmany(3) == [(1,), (2,), (3,)]
    connection.close()


@pytest.mark.parametrize("tenant, name", HOMES)
def test_psycopg(lodge, tenant, name):
    with psycopg.connect(host="127.0.0.1", port=lodge.port, user=f"app.{tenant}", password=PASSWORD, dbname="crm") as connection:
        for _ in range(10):  # past its threshold for preparing
            assert connection.execute("SELECT name FROM whoami WHERE name = %s", (name,)).fetchone() == (name,)
        with connection.cursor().copy("COPY (SELECT generate_series(1, 1000)) TO STDOUT") as copy:
            assert len(list(copy.rows())) == 1000
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM no_such_table")


@pytest.mark.parametrize("tenant, name", HOMES)
def test_asyncpg(lodge, tenant, name):
    async def session():
        pool = await asyncpg.create_pool(host="127.0.0.1", port=lodge.port, user=f"app.{tenant}", password=PASSWORD,
                                         database="crm", min_size=2, max_size=4)
        async with pool:
            names = await asyncio.gather(*(pool.fetchval("SELECT name FROM whoami WHERE name = $1", name) for _ in range(40)))
            assert names == [name] * 40
            with pytest.raises(asyncio.TimeoutError):  # asyncpg cancels the statement
                await pool.fetchval("SELECT pg_sleep(60)", timeout=0.3)
            assert await pool.fetchval("SELECT name FROM whoami") == name
    asyncio.run(session())


@pytest.mark.skipif(not node(), reason="Node with the package pg is not installed")
@pytest.mark.parametrize("tenant, name", HOMES)
def test_node_postgres(lodge, tenant, name):
    script = """
        const { Client } = require('pg');
        (async () => {
          const client = new Client(JSON.parse(process.argv[1]));
          await client.connect();
          const answer = await client.query('SELECT name FROM whoami WHERE name = $1', [process.argv[2]]);
          console.log(answer.rows[0].name);
          await client.end();
        })();"""
    where = {"host": "127.0.0.1", "port": lodge.port, "user": f"app.{tenant}", "password": PASSWORD, "database": "crm"}
    assert run("node", "-e", script, json.dumps(where), name, **node()) == f"{name}\n"
