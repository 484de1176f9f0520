"""The lodge's own authentication: password, md5, scram-sha-256, trust and reject; secrets from the users file.

Failures come over the Unix socket, which has no delay after them. Names and passwords are secret.
"""

import contextlib
import hashlib
import time

import psycopg
import psycopg2
import pytest
import scram
from cluster import PASSWORD
from lodge import standard_routes
from scram import CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL, Scram, question
from wire import Wire, message, query, startup

METHODS = ["password", "md5", "scram-sha-256"]
KINDS = ["plain", "md5", "scram"]
DATABASE = "crm@globex"  # under md5 the user's name cannot carry the tenant


def md5_of(role, password):
    return "md5" + hashlib.md5((password + role).encode()).hexdigest()


def write_users(folder, entries, mode=0o600):
    file = folder / "users.txt"
    quoted = [tuple(text.replace('"', '""') for text in entry) for entry in entries]
    file.write_text("; who may come in\n" + "".join(f'"{name}" "{secret}"\n' for name, secret in quoted))
    file.chmod(mode)
    return file


@pytest.fixture(scope="module")
def roles(postgres):
    """Roles that the server lets in unasked: what is tested is the lodge."""
    for role in ("auth_plain", "auth_md5", "auth_scram", "auth_locked"):
        postgres.value(f"CREATE ROLE {role} LOGIN")
        postgres.value(f"GRANT tenant_globex TO {role}")
    yield
    for role in ("auth_plain", "auth_md5", "auth_scram", "auth_locked"):
        postgres.value(f"DROP ROLE {role}")


@pytest.fixture(scope="module")
def users(postgres, roles, tmp_path_factory):
    stored = postgres.value("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")
    return write_users(tmp_path_factory.mktemp("users"), [
        ("auth_plain", PASSWORD), ("auth_md5", md5_of("auth_md5", PASSWORD)), ("auth_scram", scram.secret(PASSWORD)),
        ("auth_locked", ""), ("app", stored), ("app_md5", PASSWORD), ("app_plain", PASSWORD), ('say "hi"', "x"),
        *((f"like most {i}", scram.secret("x")) for i in range(5)),
    ])


@pytest.fixture(scope="module")
def lodges(start_lodge, postgres, users):
    """By method, started when asked for. At the end no log may hold a secret."""
    running = {}

    def of(method):
        if method not in running:
            daemon = {"auth": {"method": method, "users": str(users)}, "log": {"level": "trace"}}
            running[method] = start_lodge(standard_routes(postgres.host), daemon)
        return running[method]
    yield of
    secrets = [PASSWORD, md5_of("auth_md5", PASSWORD)[3:], "SCRAM-SHA-256$", ",p=",
               *scram.secret(PASSWORD).split(":")[1:]]
    for lodge in running.values():
        for secret in secrets:
            assert secret not in lodge.log()


def begin(lodge, user, database=DATABASE, **more):
    wire = Wire(lodge.unix_path)
    wire.send(startup({"user": user, "database": database, **more}))
    return wire


def connect(lodge, user, password=PASSWORD, database=DATABASE, **more):
    return psycopg2.connect(host=str(lodge.folder), port=6432, user=user, dbname=database, password=password,
                            connect_timeout=15, **more)


def name_of_place(connection):
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT session_user, name FROM whoami")
        return cursor.fetchone()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_right_password(lodges, method, kind):
    if (method, kind) == ("scram-sha-256", "md5"):
        pytest.skip("no SCRAM secret can be made of an md5 one")
    connection = connect(lodges(method), f"auth_{kind}")
    assert name_of_place(connection) == (f"auth_{kind}", "globex")
    connection.close()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", [*KINDS, "locked", "nobody"])
def test_the_wrong_password(lodges, method, kind):
    with pytest.raises(psycopg2.OperationalError, match=f'password authentication failed for user "auth_{kind}"'):
        connect(lodges(method), f"auth_{kind}", "wrong")


def test_the_right_password_of_an_md5_secret_under_scram(lodges):
    with pytest.raises(psycopg2.OperationalError, match='password authentication failed for user "auth_md5"'):
        connect(lodges("scram-sha-256"), "auth_md5")


def test_by_another_driver(lodges):
    with psycopg.connect(host="127.0.0.1", port=lodges("scram-sha-256").port, user="auth_scram", dbname=DATABASE,
                         password=PASSWORD) as one:
        assert one.execute("SELECT name FROM whoami").fetchone() == ("globex",)


@pytest.mark.parametrize("role, method", [("app", "scram-sha-256"), ("app_md5", "scram-sha-256"), ("app_plain", "md5"),
                                          ("app", "password"), ("app_md5", "password")])
def test_what_the_client_proved_logs_in_at_a_server_that_asks(lodges, role, method):
    connection = connect(lodges(method), role)
    assert name_of_place(connection) == (role, "globex")
    connection.close()


@pytest.mark.parametrize("method, password", [("md5", PASSWORD), ("trust", None)])
def test_an_md5_secret_of_the_users_file_logs_in_at_a_server_that_asks_for_md5(start_lodge, postgres, tmp_path, method, password):
    secret = md5_of("app_md5", PASSWORD)
    daemon = {"auth": {"method": method, "users": str(write_users(tmp_path, [("app_md5", secret)]))}, "log": {"level": "trace"}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        connection = connect(lodge, "app_md5", password)
        assert name_of_place(connection) == ("app_md5", "globex")
        connection.close()
        assert secret[3:] not in lodge.log()


def test_an_md5_secret_is_nothing_to_a_server_that_asks_for_more(start_lodge, postgres, tmp_path):
    users = write_users(tmp_path, [("app", md5_of("app", PASSWORD))])
    with start_lodge(standard_routes(postgres.host), {"auth": {"method": "md5", "users": str(users)}}) as lodge:
        with pytest.raises(psycopg2.OperationalError, match=r"asks for a password \(scram-sha-256\)"):
            connect(lodge, "app")


@pytest.mark.parametrize("method, kind", [("password", CLEARTEXT), ("md5", SASL), ("scram-sha-256", SASL)])
def test_unknown_roles_hear_what_those_hear_who_are_wrong(lodges, method, kind):
    def conversation(user):
        heard = []
        with begin(lodges(method), user) as wire:
            asked, data = question(wire)
            heard.append((asked, data))
            if asked == CLEARTEXT:
                wire.send(message(b"p", b"wrong\0"))
            else:
                client = Scram("wrong")
                wire.send(client.first())
                asked, data = question(wire)
                heard.append((asked, len(data), data.rsplit(b",", 1)[1]))
                wire.send(client.final(data))
            error = wire.refusal()
            heard.append({name: text.replace(f'"{user}"', "USER") for name, text in error.fields.items()})
        return heard
    expected = conversation("auth_scram")
    assert expected[0][0] == kind
    for user in ("auth_nobody", "auth_locked", "x" * 63, "x" * 64, "röle", "'"):
        assert conversation(user) == expected


def test_the_salt_of_an_unknown_role_stays(lodges):
    def salt(user):
        with begin(lodges("scram-sha-256"), user) as wire:
            question(wire)
            wire.send(Scram("x").first())
            return question(wire)[1].split(b",")[1]
    assert salt("auth_nobody") == salt("auth_nobody") != salt("auth_somebody")


@pytest.mark.parametrize("answer", [
    b"", b"md5", b"md5" + 32 * b"0", md5_of("auth_plain", PASSWORD).encode(), b"x" * 60000,
])
def test_md5_answers(lodges, answer):
    with begin(lodges("md5"), "auth_plain") as wire:
        assert question(wire)[0] == MD5
        wire.send(message(b"p", answer + b"\0"))
        assert wire.refusal().sqlstate == "28P01"


def test_md5_salts_differ(lodges):
    def salt():
        with begin(lodges("md5"), "auth_plain") as wire:
            return question(wire)[1]
    assert len({salt() for _ in range(5)}) == 5


@pytest.mark.parametrize("body, sqlstate", [
    (b"\0", "28P01"), (b"", "08P01"), (b"no end", "08P01"), (PASSWORD.encode() + b"\0\0", "08P01"),
    (PASSWORD.encode() + b"\0x\0", "08P01"), (b"x" * 65534 + b"\0", "28P01"), (b"x" * 65535 + b"\0", "08P01"),
    (b"x" * 2**20 + b"\0", "08P01"),
])
def test_passwords_of_every_shape(lodges, body, sqlstate):
    with begin(lodges("password"), "auth_plain") as wire:
        assert question(wire)[0] == CLEARTEXT
        try:
            wire.send(message(b"p", body))
        except ConnectionError:
            pass  # it did not wait for the rest
        try:
            kind, answer = wire.read()
        except ConnectionError:
            assert len(body) > 65535
            return
        assert kind == b"E" and b"C" + sqlstate.encode() + b"\0" in answer


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("what", [
    startup({"user": "auth_plain", "database": DATABASE}), query("SELECT 1"), message(b"X"), message(b"S"), b"\0",
    b"\xff",
], ids=["StartupMessage", "Query", "Terminate", "Sync", "zero", "ff"])
def test_anything_else_in_mid_exchange(lodges, method, what):
    steps = 2 if method == "scram-sha-256" else 1
    for later in range(steps):
        with begin(lodges(method), "auth_md5") as wire:
            question(wire)
            if later:
                wire.send(Scram(PASSWORD).first())
                question(wire)
            wire.send(what)
            assert wire.refusal().sqlstate == "08P01"


def test_sasl_messages_cut_at_every_byte(lodges):
    lodge = lodges("scram-sha-256")
    first = Scram(PASSWORD).first()
    for size in range(len(first) - 5):
        with begin(lodge, "auth_scram") as wire:
            question(wire)
            wire.send(message(b"p", first[5:5 + size]))
            assert wire.refusal().sqlstate == "08P01", size
    size = 0
    while True:
        with begin(lodge, "auth_scram") as wire:
            question(wire)
            client = Scram(PASSWORD)
            wire.send(client.first())
            text = client.final_text(question(wire)[1])
            if size == len(text):
                break
            wire.send(scram.response(text[:size]))
            assert wire.refusal().sqlstate in ("08P01", "28000", "28P01"), size
            size += 1


@pytest.mark.parametrize("first", [
    scram.initial(b"n,,n=,r="), scram.initial(b"n,,n=,r=" + b"x" * 257), scram.initial(b"n,,n=,r=" + b"x" * 100000),
    scram.initial(b""), scram.initial(b"n,,n=,r=a,b"), scram.initial(b"n,a=other,n=,r=abc"), scram.initial(b"\0" * 20),
    scram.initial(b"p=tls-unique,,n=,r=abc", b"SCRAM-SHA-256-PLUS"), scram.initial(b"n,,n=,r=abc", b"SCRAM-SHA-1"),
    scram.initial(b"n,,n=,r=abc", b""), message(b"p", b"SCRAM-SHA-256\0\x7f\xff\xff\xff"),
    message(b"p", b"SCRAM-SHA-256\0\xff\xff\xff\xfe"), message(b"p"),
])
def test_first_messages_that_are_wrong(lodges, first):
    with begin(lodges("scram-sha-256"), "auth_scram") as wire:
        question(wire)
        wire.send(first)
        assert wire.refusal().sqlstate in ("08P01", "0A000")


@pytest.mark.parametrize("change", [
    lambda text: text.replace(b"c=biws", b"c=eSws"), lambda text: text.replace(b"r=", b"r=x"),
    lambda text: text[:-8] + b"AAAAAAA=", lambda text: text + b",x=y", lambda text: text + b"x" * 2000,
    lambda text: text.replace(b"c=biws,", b""), lambda text: b"",
])
def test_last_messages_that_are_wrong(lodges, change):
    with begin(lodges("scram-sha-256"), "auth_scram") as wire:
        question(wire)
        client = Scram(PASSWORD)
        wire.send(client.first())
        wire.send(scram.response(change(client.final_text(question(wire)[1]))))
        assert wire.refusal().sqlstate in ("08P01", "28000", "28P01")


def test_what_comes_with_the_proof_is_not_lost(lodges):
    with begin(lodges("scram-sha-256"), "auth_scram") as wire:
        question(wire)
        client = Scram(PASSWORD)
        wire.send(client.first())
        kind, data = question(wire)
        assert kind == SASL_CONTINUE
        wire.send(client.final(data) + query("SELECT name FROM whoami"))
        assert question(wire)[0] == SASL_FINAL
        wire.until(b"Z")
        assert wire.until(b"D")[-1][1].endswith(b"globex")


def test_the_role_is_the_one_of_the_startup_packet(lodges):
    client = Scram(PASSWORD)
    client.first_bare = b"n=auth_plain,r=clientnonce"
    with begin(lodges("scram-sha-256"), "auth_scram") as wire:
        client.run(wire)
        assert question(wire)[0] == SASL_FINAL
        wire.until(b"Z")
        assert wire.value("SELECT session_user") == "auth_scram"


def test_the_tenant_is_looked_at_after_the_password(lodges):
    """Neither the words nor the messages tell those who are nobody which tenants there are."""
    with begin(lodges("password"), "auth_nobody", "crm@no_such_tenant") as wire:
        assert question(wire)[0] == CLEARTEXT
        wire.send(message(b"p", b"wrong\0"))
        assert wire.refusal().sqlstate == "28P01"


def test_failures_delay_the_next_attempt_of_that_role_from_there_but_no_other(start_lodge, postgres, users):
    daemon = {"auth": {"method": "password", "users": str(users)}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge:
        def attempt(password, host="127.0.0.1", port=None, user="auth_plain"):
            before = time.monotonic()
            try:
                psycopg2.connect(host=host, port=port or lodge.port, user=user, dbname=DATABASE,
                                 password=password).close()
            except psycopg2.OperationalError:
                pass
            return time.monotonic() - before
        before = time.monotonic()
        for _ in range(4):
            attempt("wrong")
        attempt(PASSWORD)
        assert time.monotonic() - before >= 0.5 + 1
        for _ in range(2):
            attempt("wrong")
        assert attempt(PASSWORD, str(lodge.folder), 6432) < 0.9
        assert attempt(PASSWORD, user="auth_scram") < 0.9  # nor by another role, as a neighbour's program has


def test_a_crowd_of_one_address_hears_no_more_guesses_than_one_client(start_lodge, postgres, users):
    """All have been asked for their password before the first is wrong."""
    def answer(wire, until):
        wire.socket.settimeout(max(until - time.monotonic(), 0.001))
        try:
            return wire.refusal().sqlstate
        except TimeoutError:
            return "none yet"
    daemon = {"auth": {"method": "password", "users": str(users)}}
    with start_lodge(standard_routes(postgres.host), daemon) as lodge, contextlib.ExitStack() as crowd:
        wires = [crowd.enter_context(Wire(("127.0.0.1", lodge.port))) for _ in range(100)]
        for wire in wires:
            wire.send(startup({"user": "auth_plain", "database": DATABASE}))
            assert question(wire)[0] == CLEARTEXT
        begun = time.monotonic()
        for wire in wires:
            wire.send(message(b"p", b"wrong\0"))
        heard = [answer(wire, begun + 5) for wire in wires]
        took = time.monotonic() - begun
        told = heard.count("28P01")
        assert 3 <= told <= 3 + (took >= 0.5) + (took >= 1.5) + (took >= 3.5) + (took >= 7.5)
        assert heard.count("none yet") <= 32 and "53300" in heard


def test_a_users_file_that_others_can_read_gets_a_warning(start_lodge, postgres, roles, tmp_path):
    file = write_users(tmp_path, [("auth_plain", PASSWORD)], 0o644)
    with start_lodge(standard_routes(postgres.host), {"auth": {"users": str(file)}}) as lodge:
        lodge.wait_for_log("chmod o=")
        connect(lodge, "auth_plain").close()


def test_the_users_file_is_reloaded_all_or_nothing(start_lodge, postgres, roles, tmp_path):
    file = write_users(tmp_path, [("auth_plain", PASSWORD)])
    with start_lodge(standard_routes(postgres.host), {"auth": {"users": str(file)}}) as lodge:
        since = lodge.mark()
        file.write_text('"auth_plain" "geheim\n')
        lodge.wait_for_log("users.txt:1: a double quote is not closed", since=since)
        connect(lodge, "auth_plain").close()
        since = lodge.mark()
        file.write_text('"auth_plain" "a new one"\n')
        lodge.wait_for_log("reloaded (", since=since)
        connect(lodge, "auth_plain", "a new one").close()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            connect(lodge, "auth_plain")
        assert "geheim" not in lodge.log()
