"""COPY of 1 GiB out and in: the lodge's memory, and its CPU for it."""

import subprocess

import stage

OUT = "COPY (SELECT repeat('x', 1023) FROM generate_series(1, 1048576)) TO STDOUT"
IN = "COPY sink FROM STDIN"


def psql(port, sql, **streams):
    subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", stage.USER, "-Xqc", sql, "acme"], check=True, **streams)


def measure(_):
    with stage.cluster() as server:
        server.value("CREATE UNLOGGED TABLE sink (line text)", database="acme")
        # What arrives is thrown away, so that the disk has no part in it.
        server.value("CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'", database="acme")
        server.value("CREATE TRIGGER drop_it BEFORE INSERT ON sink FOR EACH ROW EXECUTE FUNCTION drop_it()", database="acme")
        for mode in ("transaction", "session"):
            with stage.lodge(stage.routes(server, mode)) as lodge:
                for what, sql in (("out", OUT), ("in", IN)):
                    before = stage.cpu_seconds(lodge.process.pid)
                    if what == "out":
                        psql(lodge.port, sql, stdout=subprocess.DEVNULL)
                    else:
                        # psql writes what psql reads.
                        source = subprocess.Popen(["psql", "-h", str(server.folder), "-p", str(server.port), "-U", stage.USER, "-Xqc",
                                                   OUT, "acme"], stdout=subprocess.PIPE)
                        psql(lodge.port, sql, stdin=source.stdout)
                        source.wait()
                    print(f"{mode:>12} {what:>4}: {stage.cpu_seconds(lodge.process.pid) - before:.2f} s of CPU for 1 GiB, "
                          f"RSS at most {stage.status(lodge.process.pid, 'VmHWM') / 1024:.1f} MiB so far", flush=True)
