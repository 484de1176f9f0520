"""SIGUSR2 puts another process in this one's place: nobody is refused, nobody's transaction breaks."""

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time

import psycopg2
import pytest
import yaml
from cluster import free_port
from lodge import Lodge, eventually, standard_routes
from test_cancel import asleep, send_cancel
from wire import V3_2, ServerError, query

PR_SET_CHILD_SUBREAPER = 36


class Adopted:
    """A process that a process of ours has started: when that one is gone it is ours (prctl(2), PR_SET_CHILD_SUBREAPER)."""

    def __init__(self, process_id):
        self.pid = process_id
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                found, status = os.waitpid(self.pid, os.WNOHANG)
                if found:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=30):
        eventually(lambda: self.poll() is not None, f"process {self.pid} has not ended", timeout)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def parent_of(process_id):
    with open(f"/proc/{process_id}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[1])


class Service:
    """A lodge and all that came after it; `lodge.process` is the one that serves."""

    def __init__(self, lodge):
        self.lodge = lodge
        self.old = []

    def upgrade(self, meanwhile=None):
        line = self.signal_and_wait(meanwhile)
        assert "upgrade failed" not in line, self.lodge.log()
        self.old.append(self.lodge.process)
        self.lodge.process = Adopted(int(line.split("process ")[1].split()[0]))
        self.lodge.be_seen_running()
        self.lodge.descriptors_before = self.lodge.descriptors()

    def failed_upgrade(self):
        line = self.signal_and_wait()
        assert "upgrade failed" in line
        return line

    def signal_and_wait(self, meanwhile=None):
        """The verdict's line. Without sessions the old process is gone at once, so whether it lives is not asked."""
        since = self.lodge.mark()
        self.lodge.process.send_signal(signal.SIGUSR2)
        if meanwhile:
            self.lodge.wait_for_log("upgrade: starting", since=since)
            meanwhile()

        def verdict():
            lines = self.lodge.log(since).splitlines()
            return next((line for line in lines if " serves; " in line or "upgrade failed" in line), None)
        return eventually(verdict, lambda: self.lodge.log(since), timeout=60)

    def finish(self):
        """Every process ends by itself once it has no session any more, with exit code 0."""
        try:
            assert [one.wait(30) for one in self.old] == [0] * len(self.old)
            # The last was started by one that is gone, or is about to be.
            self.lodge.finish()
        finally:
            for one in [*self.old, self.lodge.process]:
                if one.poll() is None:
                    one.kill()
                    one.wait(10)


@pytest.fixture
def service(binary, postgres):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.ExitStack() as running:
        def start(daemon=None, **more):
            made = Service(Lodge(standard_routes(postgres.host), {"auth": {"method": "trust"}, **(daemon or {})}, **more).start())
            running.callback(made.finish)
            return made
        yield start


def test_sessions_go_on_and_new_ones_come_to_the_new_process(service):
    made = service({"admin": {"http": f"127.0.0.1:{free_port()}", "users": ["root"]}})
    lodge = made.lodge
    idle, within = lodge.login("trusted.globex"), lodge.login("trusted.globex")
    within.rows("BEGIN")
    made.upgrade()
    # Not the old process's child: systemd waits for its own only, and adopts who has lost a parent.
    assert parent_of(lodge.process.pid) == os.getpid()
    assert lodge.links() and made.old[0].poll() is None
    assert idle.value("SELECT name FROM whoami") == "globex"
    assert within.value("SELECT name FROM whoami") == "globex"
    with lodge.login("trusted.soylent") as new:
        within.rows("COMMIT")
        idle.close(), within.close()
        assert made.old[0].wait() == 0
        assert new.value("SELECT name FROM whoami") == "soylent"
        with psycopg2.connect(host=str(lodge.folder), port=6432, user="trusted.globex", dbname="crm") as by_unix:
            by_unix.cursor().execute("SELECT 1")
        by_unix.close()
    made.upgrade()
    assert os.path.exists(lodge.unix_path)


def test_twenty_upgrades_under_load(service):
    """Each transaction on a new connection, in four threads; and one session that lives through all of it."""
    made = service()
    lodge, stop, errors, done = made.lodge, threading.Event(), [], [0]

    def load():
        while not stop.is_set():
            try:
                connection = psycopg2.connect(host="127.0.0.1", port=lodge.port, user="trusted.globex", dbname="crm",
                                              connect_timeout=15)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT name FROM whoami")
                    assert cursor.fetchone() == ("globex",)
                connection.commit()
                connection.close()
                done[0] += 1
            except Exception as error:
                errors.append(error)
                return
    threads = [threading.Thread(target=load) for _ in range(4)]
    for one in threads:
        one.start()
    with lodge.login("trusted.soylent") as session:
        for _ in range(20):
            before = done[0]
            made.upgrade()
            assert session.value("SELECT name FROM whoami") == "soylent"
            eventually(lambda: done[0] > before + 4 or errors, "the load goes on")
        stop.set()
        for one in threads:
            one.join()
        assert errors == []


def test_a_new_process_that_cannot_serve_changes_nothing(service):
    made = service()
    lodge = made.lodge
    good = lodge.config.read_text()
    with lodge.login("trusted.globex") as session:
        lodge.config.write_text("listen: nowhere\n")
        assert "it ended before it served; its own lines say why; this process goes on" in made.failed_upgrade()
        assert session.value("SELECT name FROM whoami") == "globex"
        with lodge.login("trusted.soylent") as another:
            assert another.value("SELECT name FROM whoami") == "soylent"
        lodge.config.write_text(good)
    made.upgrade()
    with lodge.login("trusted.soylent") as another:
        assert another.value("SELECT name FROM whoami") == "soylent"


@pytest.mark.parametrize("version, length", [(3 << 16, 4), (V3_2, 32)])
def test_cancel_requests_find_sessions_of_older_processes(service, postgres, version, length):
    made = service()
    lodge = made.lodge
    with contextlib.ExitStack() as sessions:
        each = []
        for _ in range(3):
            each.append(sessions.enter_context(lodge.login("trusted.globex", version=version)))
            made.upgrade()
        for session in each:
            assert len(session.secret) == length
            process_id = int(session.value("SELECT pg_backend_pid()"))
            session.send(query("SELECT pg_sleep(60)"))
            eventually(lambda: asleep(postgres, process_id), "it sleeps")
            send_cancel(lodge, session.process_id, session.secret)
            with pytest.raises(ServerError) as caught:
                session.until(b"Z")
            assert caught.value.sqlstate == "57014"
            session.until(b"Z")


def test_a_cancel_door_lets_nobody_in(service):
    made = service()
    lodge = made.lodge
    with lodge.login("trusted.globex") as session:
        made.upgrade()
        with open("/proc/net/unix") as sockets:
            doors = [line.split()[-1] for line in sockets if "@pglodge-cancel-" in line]
        for door in doors:
            tried = subprocess.run(["psql", "-w", "-h", door, "-U", "trusted.globex", "crm", "-c", "SELECT 1"],
                                   capture_output=True, text=True, timeout=30)
            assert tried.returncode != 0
        assert session.value("SELECT name FROM whoami") == "globex"


def test_what_the_console_laid_down_holds_in_the_new_process(service):
    made = service({"admin": {"users": ["boss"]}})
    lodge = made.lodge
    console = lodge.connect("boss", "pglodge")
    console.cursor().execute("SUSPEND 'globex'")
    console.close()
    made.upgrade()
    with pytest.raises(psycopg2.OperationalError, match="suspended"):
        lodge.connect("trusted.globex")


@pytest.fixture
def late_successor(binary, tmp_path, monkeypatch):
    """The program that a new process is started by waits; given is what lets it go on."""
    program, goes_on = tmp_path / "pglodge", tmp_path / "goes_on"
    program.symlink_to(binary)
    monkeypatch.setattr("lodge.BINARY", program)

    def install():
        script = tmp_path / "script"
        script.write_text(f'#!/bin/sh\nwhile [ ! -e {goes_on} ]; do sleep 0.02; done\nexec {binary} "$@"\n')
        script.chmod(0o755)
        script.rename(program)
        return goes_on.touch
    return install


def test_what_is_said_at_the_console_during_an_upgrade_is_not_lost(service, late_successor):
    """The new process begins with what was laid down before it was started."""
    made = service({"admin": {"users": ["boss"]}})
    lodge = made.lodge
    console, idle = lodge.connect("boss", "pglodge"), lodge.login("boss", "pglodge")
    console.autocommit = True
    goes_on = late_successor()

    def lay_down():
        for command in "SUSPEND 'globex'", "PAUSE":
            with pytest.raises(psycopg2.errors.ObjectNotInPrerequisiteState, match="an upgrade is under way"):
                console.cursor().execute(command)
        console.cursor().execute("SHOW STATE")
        goes_on()
    made.upgrade(lay_down)
    # Its console is not the lodge's any more.
    assert "another process of pglodge has taken over" in idle.refusal().message
    with pytest.raises(psycopg2.OperationalError):
        console.cursor().execute("RESUME")
    console.close()
    assert made.old[0].wait() == 0
    with lodge.connect("trusted.globex") as goes_in:
        goes_in.cursor().execute("SELECT 1")
    goes_in.close()


def test_who_is_told_to_leave_starts_nobody(service, late_successor):
    made = service()
    lodge = made.lodge
    late_successor()
    with lodge.login("trusted.globex") as within:
        within.rows("BEGIN")
        since = lodge.mark()
        lodge.process.send_signal(signal.SIGUSR2)
        lodge.wait_for_log("upgrade: starting", since=since)
        lodge.process.send_signal(signal.SIGTERM)
        lodge.wait_for_log("the upgrade is given up", since=since)
        within.rows("COMMIT")
        assert within.refusal().sqlstate == "57P01"
    lodge.has_left()
    assert not os.path.exists(lodge.unix_path)
    assert subprocess.run(["pgrep", "-f", str(lodge.config)], capture_output=True, text=True, timeout=10).stdout == ""


def test_signals_that_come_while_it_starts_are_heard_later(binary, postgres):
    routes = standard_routes(postgres.host)
    routes["tenants"].update({f"t{number}": {} for number in range(20_000)})
    with Lodge(routes, {"auth": {"method": "trust"}}) as lodge:
        starts = threading.Thread(target=lodge.start)
        starts.start()

        def ignores_sigpipe():
            """Done behind the handlers, and before the files are read."""
            if lodge.process is None:
                return False
            with open(f"/proc/{lodge.process.pid}/status") as status:
                ignored = next(line.split()[1] for line in status if line.startswith("SigIgn"))
            return int(ignored, 16) & 1 << signal.SIGPIPE - 1
        eventually(ignores_sigpipe, "it begins")
        lodge.process.send_signal(signal.SIGHUP)
        starts.join()
        lodge.wait_for_log("(SIGHUP)")


def test_the_old_process_leaves_its_server_connections_to_the_new_one(service, postgres):
    made = service()
    lodge = made.lodge
    with lodge.login("trusted.globex") as idle:
        process_id = idle.value("SELECT pg_backend_pid()")
        made.upgrade()
        eventually(lambda: not postgres.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", process_id), "it is closed")
        assert idle.value("SELECT name FROM whoami") == "globex"


def test_an_upgrade_takes_up_a_change_of_listen(service):
    made = service()
    lodge, before = made.lodge, made.lodge.port
    after = free_port()
    lodge.settings["listen"] = [{"address": f"127.0.0.1:{after}"}, {"unix": str(lodge.folder)}]
    lodge.config.write_text(yaml.safe_dump(lodge.settings))
    lodge.wait_for_log("a change of listen takes")
    lodge.port = after
    made.upgrade()
    with lodge.login("trusted.globex") as session:
        assert session.value("SELECT name FROM whoami") == "globex"
    assert f"does not name 127.0.0.1:{before} any more" in lodge.log()
    lodge.port = before
    with pytest.raises(ConnectionRefusedError):
        lodge.wire()


def test_sessions_of_the_old_process_have_their_time(service):
    made = service({"timeouts": {"upgrade": "300ms"}})
    with made.lodge.login("trusted.globex") as idle:
        made.upgrade()
        assert idle.refusal().sqlstate == "57P01"


def test_sigterm_drains_the_old_process(service):
    made = service()
    with made.lodge.login("trusted.globex") as idle:
        made.upgrade()
        made.old[0].send_signal(signal.SIGTERM)
        assert idle.refusal().sqlstate == "57P01"


def test_a_second_sigterm_does_not_hurry_the_old_process(service):
    """systemd sends it to whoever is left when the main process has gone."""
    made = service()
    with made.lodge.login("trusted.globex") as within:
        within.rows("BEGIN")
        made.upgrade()
        since = made.lodge.mark()
        made.old[0].send_signal(signal.SIGTERM)
        made.lodge.wait_for_log("draining: ", since=since)
        made.old[0].send_signal(signal.SIGTERM)
        made.old[0].send_signal(signal.SIGHUP)
        made.lodge.wait_for_log("(SIGHUP)", since=since)        # so it has heard the one before
        assert within.value("SELECT name FROM whoami") == "globex"
        within.rows("COMMIT")
        assert within.refusal().sqlstate == "57P01"


def test_peers_pass_cancel_requests_on(service, postgres):
    """A balancer sent the request to the other lodge; one of them demands TLS."""
    there = service()
    here = service({"peers": [f"127.0.0.1:{free_port()}", f"127.0.0.1:{there.lodge.port}"]})
    with there.lodge.login("trusted.globex") as session:
        process_id = int(session.value("SELECT pg_backend_pid()"))
        session.send(query("SELECT pg_sleep(60)"))
        eventually(lambda: asleep(postgres, process_id), "it sleeps")
        send_cancel(here.lodge, session.process_id, session.secret)
        with pytest.raises(ServerError) as caught:
            session.until(b"Z")
        assert caught.value.sqlstate == "57014"
        session.until(b"Z")
        send_cancel(here.lodge, session.process_id + 1, session.secret)     # of nobody: ends quietly, and not in a circle


def test_readyz_says_no_before_the_doors_close(service):
    http = free_port()
    made = service({"admin": {"http": f"127.0.0.1:{http}"}, "timeouts": {"unready": "1s"}})
    lodge = made.lodge
    began = time.monotonic()
    lodge.process.send_signal(signal.SIGTERM)

    def answer():
        told = subprocess.run(["curl", "-s", f"http://127.0.0.1:{http}/readyz"], capture_output=True, text=True, timeout=10)
        return told.stdout
    eventually(lambda: "leaving" in answer(), "unready")
    if time.monotonic() - began < 0.7:      # on a machine that is not too busy for this
        with lodge.login("trusted.globex") as late:
            assert late.value("SELECT name FROM whoami") == "globex"
            assert late.refusal().sqlstate == "57P01"
    lodge.has_left()
