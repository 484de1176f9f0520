"""What takes several messages or statements in a row. Each function is given the writer (generate.py) and says it all."""

from scenario import Message
from statements import Statement

ACTIONS = {}


def action(function):
    ACTIONS[function.__name__] = function
    return function


HARMLESS = ("select", "show", "dml", "set", "set_config", "reset", "timezone", "notice", "error", "set_forms", "copy_out", "empty")


def describe(what, name="", cls="describe"):
    return Message("Describe", cls, what=what, name=name if what == "S" else "", portal=name if what == "P" else "")


@action
def block(w):
    """A transaction block with a bit of everything in it, committed, rolled back, or failed."""
    w.say(w.rng.choice((Statement("BEGIN", "transaction", begins=True), Statement("START TRANSACTION", "transaction", begins=True))))
    for _ in range(w.rng.randrange(1, 6)):
        w.say(w.pick(skip=("transaction", "discard", "load")))
        if w.chance(0.25):
            w.say(w.pick(("savepoint", "set_local")))
    w.say(Statement(w.rng.choice(("COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "END", "COMMIT AND CHAIN")), "transaction", ends=True))
    if w.chance(0.5):
        w.say(w.pick(("show",)))


def new_name(w):
    return w.rng.choice(("s1", "s2", "s3", "S 4", "__asyncpg_stmt_1__"))


@action
def named(w):
    """A named statement: made if it is not there, then used, some time over several transactions."""
    if w.named and w.chance(0.6):
        name = w.rng.choice(sorted(w.named))
    else:
        name, statement = new_name(w), w.pick(HARMLESS + ("transaction",))
        if name in w.named:
            w.add(Message("Close", "close", what="S", name=name))
        w.named[name] = statement
        w.add(w.parse(statement, name, cls="named"))
        if w.chance(0.5):
            w.add(describe("S", name))
        if w.chance(0.5):
            w.cut()
    statement = w.named[name]
    for _ in range(w.rng.choice((1, 1, 2, 7))):       # from the sixth time on PostgreSQL may use a generic plan
        w.ask(statement, name)
        if w.chance(0.8):
            w.cut()
    if statement.begins or statement.ends:
        w.in_transaction = statement.begins
    w.cut()


@action
def unnamed_again(w):
    """The unnamed statement, parsed in one transaction and used in later ones; a Query in between takes it away."""
    statement = w.pick(HARMLESS)
    w.add(w.parse(statement, cls="unnamed_again"))
    if w.chance(0.5):
        w.add(describe("S"))
    w.cut()
    for _ in range(w.rng.randrange(1, 4)):
        if w.chance(0.2):
            w.say(w.pick(("show", "select", "set")))
        w.ask(statement)
        w.cut()


@action
def row_limit(w):
    """Portals read in parts: within a pipeline, and within a transaction over several Syncs."""
    statement = w.rng.choice((Statement("SELECT id, name FROM items ORDER BY id LIMIT 5", "row_limit"), Statement("SELECT g FROM generate_series(1, 4) g", "row_limit"),
                              w.pick(("select", "show", "dml"))))
    portal = w.rng.choice(("", "", "c1", "c2"))
    inside = w.chance(0.5)
    if inside:
        w.query(Statement("BEGIN", "transaction"))
    w.add(w.parse(statement, cls="row_limit"), w.bind(statement, portal=portal))
    if w.chance(0.4):
        w.add(describe("P", portal))
    for _ in range(w.rng.randrange(1, 5)):
        w.add(w.execute(statement, portal, w.rng.choice((1, 2, 3, 0))))
        if w.chance(0.25):
            w.cut()
    if w.chance(0.3):
        w.add(Message("Close", "close", what="P", portal=portal))
    w.sync()
    if inside:
        w.query(Statement(w.rng.choice(("COMMIT", "ROLLBACK")), "transaction"))
    w.cut()


@action
def pipeline(w):
    """Several statements before one Sync: one transaction, and after an error nothing."""
    for _ in range(w.rng.randrange(2, 7)):
        statement = w.pick(HARMLESS + ("transaction", "savepoint", "set_local", "copy_in", "discard", "role"))
        if statement.simple:
            continue
        w.add(w.parse(statement, cls="pipeline"))
        w.ask(statement)
        if w.chance(0.15):
            w.add(Message("Flush"))
    w.cut()


@action
def simple_in_pipeline(w):
    """A Query before the Sync that is due."""
    for _ in range(w.rng.randrange(1, 3)):
        statement = w.pick(HARMLESS)
        w.add(w.parse(statement))
        w.ask(statement)
    simple = w.pick(HARMLESS)
    w.out.append(Message("Query", "simple_in_pipeline", simple.simple_sql(), copy=simple.copy, pins=simple.pins))
    statement = w.pick(HARMLESS)
    w.add(w.parse(statement))
    w.ask(statement)
    w.cut()


@action
def duplicate(w):
    """A name that is taken, of a statement or a portal."""
    statement, name = w.pick(("select", "show")), new_name(w)
    w.named[name] = statement
    if w.chance(0.6):
        w.add(w.parse(statement, name, cls="duplicate"))
        if w.chance(0.5):
            w.cut()
        w.add(w.parse(w.pick(("select", "set")), name, cls="duplicate"))
    else:
        w.add(w.parse(statement), w.bind(statement, portal="twice"), Message("Bind", "duplicate", portal="twice", values=w.bind(statement).values))
    w.cut()


@action
def unknown_name(w):
    w.add(w.rng.choice((Message("Bind", "unknown_name", name="nobody"), Message("Execute", "unknown_name", portal="nobody"),
                        Message("Describe", "unknown_name", what="S", name="nobody"), Message("Describe", "unknown_name", what="P", portal="nobody"),
                        Message("Close", "unknown_name", what="S", name="nobody"), Message("Close", "unknown_name", what="P", portal="nobody"),
                        Message("Bind", "unknown_name"), Message("Execute", "unknown_name"), Message("Describe", "unknown_name", what="S"))))
    if w.chance(0.5):
        statement = w.pick(("select",))
        w.add(w.parse(statement))
        w.ask(statement)
    w.cut()


@action
def close(w):
    """Closes what is there, and shows that it is gone, or was closed already."""
    name = w.rng.choice(sorted(w.named) or ["nobody"])
    w.add(Message("Close", "close", what="S", name=name))
    statement = w.named.pop(name, None)
    if statement and w.chance(0.4):
        w.ask(statement, name)
    elif w.chance(0.3):
        w.add(Message("Close", "close", what="S", name=name))
    w.cut()


@action
def ddl_under_plan(w):
    """A table changes while a statement on it is prepared."""
    table, name = w.t("x") + "_plan", w.rng.choice(("", "d1"))
    statement = Statement(w.rng.choice((f"SELECT * FROM {table}", f"SELECT id FROM {table}", f"INSERT INTO {table} (id) VALUES (3) RETURNING *")), "ddl_under_plan")
    w.say(Statement(f"CREATE TABLE {table} (id int, v text)", "ddl_under_plan"))
    if name:
        w.add(Message("Close", "close", what="S", name=name))
    w.named.pop(name, None)
    w.add(w.parse(statement, name, cls="ddl_under_plan"), describe("S", name))
    w.ask(statement, name)
    w.cut()
    if w.chance(0.3):
        w.query(Statement("BEGIN", "transaction", begins=True))
    change = w.rng.choice((f"ALTER TABLE {table} ADD COLUMN more int DEFAULT 7", f"ALTER TABLE {table} ALTER COLUMN id TYPE bigint", f"ALTER TABLE {table} DROP COLUMN v",
                           f"ALTER TABLE {table} RENAME COLUMN id TO ident", f"DROP TABLE {table}", f"CREATE INDEX ON {table} (id)",
                           f"DROP TABLE {table}; CREATE TABLE {table} (id text)"))
    if name:
        w.say(Statement(change, "ddl_under_plan", simple=True))
    else:
        parts = [Statement(part, "ddl_under_plan") for part in change.split("; ")]
        for part in parts:
            w.add(w.parse(part, "d_ddl"))
            w.ask(part, "d_ddl")
            w.add(Message("Close", "close", what="S", name="d_ddl"))
    w.cut()
    for _ in range(w.rng.randrange(1, 3)):
        if w.chance(0.4):
            w.add(describe("S", name))
        w.ask(statement, name)
        w.cut()
    w.say(Statement("ROLLBACK", "transaction", ends=True))


@action
def search_path_under_plan(w):
    """A prepared statement means other tables when the search_path is another."""
    statement = w.rng.choice((Statement("SELECT name FROM whoami", "search_path_under_plan"), Statement("SELECT * FROM whoami", "search_path_under_plan"),
                              Statement("SELECT * FROM items WHERE id = $1", "search_path_under_plan", (("int4", 2),))))
    name = w.rng.choice(("sp1", "sp2"))
    w.add(Message("Close", "close", what="S", name=name), w.parse(statement, name, cls="search_path_under_plan"))
    w.ask(statement, name)
    w.cut()
    for _ in range(w.rng.randrange(1, 4)):
        w.say(Statement(w.rng.choice((f"SET search_path TO {w.search_path()}", f"SET LOCAL search_path = {w.search_path()}", "RESET search_path")), "search_path_under_plan"))
        w.ask(statement, name)
        w.cut()


@action
def function_call(w):
    """The FunctionCall message: int4pl, int4div by nought, upper, one that is not there."""
    function, given, formats, result = w.rng.choice((
        (177, (b"\0\0\0\2", b"\0\0\0\3"), (1,), (1,)), (177, (b"2", b"40"), (), (0,)), (154, (b"1", b"0"), (), ()), (871, (b"abc",), (0,), ()),
        (999999, (b"x",), (), ()), (177, (b"1",), (), ()), (177, (b"1", None), (), ()), (177, (b"1", b"zwei"), (), ())))
    w.sync()
    w.add(Message("Function", "function_call", function=function, values=given, formats=formats, results=result))
    w.cut()


@action
def flush(w):
    """As drivers do that want the description before they bind: Parse, Describe, Flush, and only then on."""
    statement = w.pick(("select", "show", "dml", "set_config", "error"))
    w.add(w.parse(statement, cls="flush"), describe("S"), Message("Flush", "flush", wait=True))
    w.ask(statement)
    if w.chance(0.3):
        w.add(Message("Flush", "flush", wait=True))
        w.add(Message("Close", "close", what="S"))
    w.cut()


@action
def many_syncs(w):
    """Several Syncs in one write, with and without anything between them."""
    for _ in range(w.rng.randrange(2, 5)):
        if w.chance(0.7):
            statement = w.pick(HARMLESS + ("transaction",))
            w.add(w.parse(statement, cls="many_syncs"))
            w.ask(statement)
        w.add(Message("Sync", "many_syncs"))
    w.cut()


@action
def prepared_in_transaction(w):
    """Protocol-level statements outlive the rollback of the transaction that made them."""
    statement, name = w.pick(("select", "show")), new_name(w)
    w.query(Statement("BEGIN", "transaction"))
    w.add(Message("Close", "close", what="S", name=name), w.parse(statement, name, cls="prepared_in_transaction"))
    w.named[name] = statement
    w.cut()
    if w.chance(0.5):
        w.say(w.pick(("error", "set", "dml")))
    w.query(Statement(w.rng.choice(("ROLLBACK", "COMMIT")), "transaction"))
    w.ask(statement, name)
    w.cut()


@action
def protocol_and_sql(w):
    """One name space: EXECUTE and DEALLOCATE of what Parse made, Bind of what PREPARE made, DEALLOCATE ALL of both."""
    name = w.rng.choice(("both", "s1"))
    statement = Statement("SELECT 7 AS seven", "protocol_and_sql", pins=True)
    w.add(Message("Close", "close", what="S", name=name))
    if w.chance(0.5):
        w.add(w.parse(statement, name))
        w.cut()
        w.query(Statement(f"EXECUTE {name}", "protocol_and_sql", pins=True))
        w.query(Statement(w.rng.choice((f"DEALLOCATE {name}", "DEALLOCATE ALL", f"PREPARE {name} AS SELECT 1", "DISCARD ALL")), "protocol_and_sql", pins=True))
    else:
        w.query(Statement(f"PREPARE {name} AS {statement.sql}", "protocol_and_sql", pins=True))
        w.add(describe("S", name))
    w.ask(statement, name)
    w.named[name] = statement
    w.cut()


# What lives in a server's session: got, used some transactions later, given up, and asked for once more.
STORIES = {
    "sql_prepare": (("PREPARE story AS SELECT name FROM whoami", "PREPARE story (int) AS SELECT $1 + 1, date '2024-12-31'"), ("EXECUTE story", "EXECUTE story (1)"),
                    ("DEALLOCATE story", "DEALLOCATE ALL")),
    "hold_cursor": (("DECLARE story CURSOR WITH HOLD FOR SELECT id, name FROM items ORDER BY id",), ("FETCH 2 FROM story", "MOVE 3 IN story"), ("CLOSE story", "CLOSE ALL")),
    "temp_table": (("CREATE TEMP TABLE {x}_story AS SELECT 1 AS id", "CREATE TEMP TABLE {x}_story (id int) ON COMMIT DELETE ROWS"),
                   ("SELECT * FROM {x}_story ORDER BY id", "INSERT INTO {x}_story VALUES (2)"), ("DROP TABLE {x}_story", "DISCARD TEMP")),
    "listen": (("LISTEN c{i}_story",), ("NOTIFY c{i}_story, 'heard'", "SELECT pg_notify('c{i}_story', '')", "SELECT pg_listening_channels()"), ("UNLISTEN c{i}_story", "UNLISTEN *")),
    "advisory": (("SELECT pg_advisory_lock(79, {i})", "SELECT pg_try_advisory_lock_shared(79, {i})"),
                 ("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",),
                 ("SELECT pg_advisory_unlock(79, {i}), pg_advisory_unlock_shared(79, {i})", "SELECT pg_advisory_unlock_all()")),
    "sequence": (("SELECT nextval('{s}')", "SELECT setval('{s}', 12)"), ("SELECT currval('{s}')", "SELECT lastval()"), ("DISCARD SEQUENCES",)),
}


@action
def story(w):
    kind = w.rng.choice(sorted(STORIES))
    if not w.weights.get(kind):
        return
    got, used, given_up = STORIES[kind]

    def tell(sqls, **more):
        w.say(Statement(w.fill(w.rng.choice(sqls)), kind, pins=True, **more))

    tell(got)
    for _ in range(w.rng.randrange(1, 4)):
        if w.chance(0.5):
            w.say(w.pick(("select", "show", "set", "error", "dml")))
        tell(used)
    if w.chance(0.7):
        tell(("DISCARD ALL",), unpins=True) if w.chance(0.3) else tell(given_up)
        tell(used)


@action
def cursor_block(w):
    """A cursor read in a transaction, over several steps, and gone after it."""
    w.query(Statement("BEGIN", "transaction", begins=True))
    w.say(Statement(w.rng.choice(("DECLARE inside SCROLL CURSOR FOR SELECT id, name, at FROM items ORDER BY id",
                                  "DECLARE inside CURSOR FOR SELECT current_setting('DateStyle'), g FROM generate_series(1, 9) g")), "cursor"))
    for _ in range(w.rng.randrange(1, 5)):
        w.say(Statement(w.rng.choice(("FETCH 2 FROM inside", "MOVE 1 IN inside", "FETCH PRIOR FROM inside", "SET DateStyle TO German", "FETCH ALL FROM inside")), "cursor"))
    w.say(Statement(w.rng.choice(("COMMIT", "ROLLBACK", "CLOSE inside; COMMIT")), "transaction", ends=True, simple=True))
    if w.chance(0.4):
        w.say(Statement("FETCH 1 FROM inside", "cursor"))
    w.cut()


@action
def many_names(w):
    """More named statements in one write than any cache would hold for one client, most of them used once."""
    count = w.rng.choice((20, 60))
    for number in range(count):
        statement = Statement(f"SELECT {number} AS n, $1::int4", "many_names", (("int4", number),))
        w.add(w.parse(statement, f"m{number}", typed=False))
        if number % 3 == 0:
            w.ask(statement, f"m{number}")
    w.cut()
    for number in range(0, count, 7):
        w.ask(Statement("", "many_names", (("int4", -number),)), f"m{number}")
    for number in range(count):
        w.add(Message("Close", "many_names", what="S", name=f"m{number}"))
    w.cut()
