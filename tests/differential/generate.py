"""From a seed to a scenario, the same on every machine.

Each scenario has a flavour: some classes of statement are left out of it and some are frequent, so that rare things meet
each other more often than if everything came everywhere (swarm testing). Each statement is then said in one of the ways of
the protocol: as a Query, by an unnamed or named statement, described, in parts, in a pipeline with others.
"""

import random

import statements
from actions import ACTIONS
from scenario import TYPES, Client, Message, Scenario, Step
from statements import REPERTOIRE, Statement, encode
from world import CLIENTS, TENANTS

# How often a class comes, beside what the functions in it weigh among each other.
WEIGHTS = {"select": 8, "dml": 7, "error": 3, "transaction": 4, "savepoint": 3, "set": 7, "set_local": 3, "set_config": 4, "reset": 4, "discard": 1.5,
           "show": 12, "pg_settings": 0.5, "timezone": 2, "set_forms": 2, "set_characteristics": 1.5, "set_in_function": 2, "multi": 6, "empty": 1, "notice": 1.5,
           "sequence": 1.5, "advisory": 2, "listen": 2, "load": 0.3, "role": 2, "encoding": 2, "quoting": 2, "ddl": 2, "call": 1, "temp_table": 3,
           "large_object": 1, "sql_prepare": 3, "deallocate": 1.5, "cursor": 2, "hold_cursor": 2, "copy_out": 2, "copy_in": 3, "big_result": 0.7, "long": 0.5}
ACTION_WEIGHTS = {"block": 10, "named": 6, "unnamed_again": 3, "row_limit": 3, "pipeline": 5, "simple_in_pipeline": 2, "duplicate": 1.5, "unknown_name": 1.5,
                  "close": 2, "ddl_under_plan": 2, "function_call": 2, "flush": 2, "many_syncs": 1, "search_path_under_plan": 2, "prepared_in_transaction": 2,
                  "protocol_and_sql": 1, "many_names": 0.5, "cursor_block": 2, "story": 6}

# What keeps a server connection to its client: in most scenarios none, since a client so pinned shares nothing more.
PINNING = ("sequence", "advisory", "listen", "load", "temp_table", "sql_prepare", "hold_cursor", "set_in_function", "protocol_and_sql")

# Those that are no statements: switches of their own.
SWITCHES = ("startup_options", "startup_error", "placeholder_memory", "split", "leave_abruptly", "extended")

UNCOUNTED = (*SWITCHES, "block", "story", "cursor_block")         # no message has them as its class

CLASSES = sorted({*WEIGHTS, *ACTION_WEIGHTS, *SWITCHES, "copy_fail"})

STARTUP = {
    "application_name": ("app", "my app", "it's"), "DateStyle": ("ISO, DMY", "SQL, MDY", "German"), "TimeZone": ("UTC", "Europe/Berlin", "Asia/Kolkata"),
    "client_encoding": ("UTF8", "LATIN1", "UTF8"), "extra_float_digits": ("0", "2", "3"), "IntervalStyle": ("sql_standard", "postgres_verbose"),
    "bytea_output": ("escape",), "statement_timeout": ("30s", "0"), "app.z": ("from the start",),
    "options": ("-c geqo=off", "-c statement_timeout=25s -c DateStyle=SQL,DMY", "--enable-seqscan=off", r"-c application_name=with\ blank", "-c TimeZone=Asia/Tokyo",
                "-c app.x=opt -c extra_float_digits=0", "-c standard_conforming_strings=off", "-c default_transaction_isolation=serializable"),
}
WRONG_STARTUP = (("DateStyle", "nonsense"), ("options", "-c no_such=1"), ("options", "-c temp_buffers=lots"), ("client_encoding", "nix"), ("client_encoding", "auto"), ("options", "-x"),
                 ("TimeZone", "No/Where"), ("options", "-c"))
REPORTED_AT_START = ("application_name", "DateStyle", "TimeZone", "client_encoding")      # that poolers commonly know


class Writer:
    """Writes one client's steps, with a rough idea of the session it makes: of names, and whether it is in a transaction."""

    def __init__(self, rng, number, tenant, weights, without):
        self.rng, self.number, self.tenant, self.without = rng, number, TENANTS[tenant], without
        self.weights = weights
        self.steps, self.out = [], []
        self.in_transaction = False
        self.needs_sync = False
        self.named = {}              # protocol-level name -> Statement
        self.placeholders = set()
        self.extended = rng.choice((0.0, 0.3, 0.5, 0.9)) if "extended" not in without else 0.0
        self.cutting = rng.choice((0.6, 0.95, 0.95))

    # What statements ask for.

    def t(self, table):
        return f"c{self.number}_{table}"

    def fill(self, sql):
        for key in ("a", "b", "u", "s", "log", "x"):
            sql = sql.replace("{" + key + "}", self.t(key))
        return sql.replace("{i}", str(self.number)).replace("{p}", self.rng.choice(("p1", "p2")))

    def search_path(self):
        first, second = self.tenant.schemas
        return self.rng.choice((first, second, f"{first}, public", f"{second}, {first}", f'"{second}", "public"', f"'{first}'", "pg_catalog",
                                "'no_such_schema'", f"pg_catalog, {first}"))

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, classes=None, skip=()):
        """A statement of one of these classes (of all), by the flavour's weights."""
        names = [name for name in (classes or WEIGHTS) if name in REPERTOIRE and name not in skip and self.weights.get(name, 0) > 0]
        if not names:
            return Statement("SELECT 1", "select")
        name = self.rng.choices(names, [self.weights[name] for name in names])[0]
        functions = REPERTOIRE[name]
        made = self.rng.choices([function for _, function in functions], [weight for weight, _ in functions])[0](self)
        return Statement("SELECT 2", "select") if made.cls in self.without else made

    # Saying it.

    def add(self, *messages):
        self.out += messages
        self.needs_sync = messages[-1].kind in ("Parse", "Bind", "Describe", "Execute", "Close", "Flush") if messages else False

    def sync(self, cls=""):
        if self.needs_sync:
            self.add(Message("Sync", cls))

    def cut(self):
        """Ends the step."""
        self.sync()
        if self.out:
            split = 0
            if "split" not in self.without and self.chance(0.04):
                split = self.rng.randrange(1, sum(len(message.encode()) for message in self.out) + 1)
            self.steps.append(Step(tuple(self.out), split))
            self.out = []

    def query(self, statement):
        self.sync()
        self.add(Message("Query", statement.cls, statement.simple_sql(), copy=statement.copy, pins=statement.pins, unpins=statement.unpins))

    def parse(self, statement, name="", typed=None, cls=None):
        typed = self.chance(0.7) if typed is None else typed
        types = tuple(TYPES[kind] for kind, _ in statement.params) if typed else ()
        return Message("Parse", cls or statement.cls, statement.sql, name=name, types=types)

    def bind(self, statement, name="", portal="", binary=None):
        binary = self.chance(0.25) if binary is None else binary
        formats = (1,) if binary and statement.params else ()
        if binary and len(statement.params) > 1 and self.chance(0.3):
            formats = tuple(number % 2 for number in range(len(statement.params)))
        codes = formats * len(statement.params) if len(formats) == 1 else formats or (0,) * len(statement.params)
        given = tuple(encode(kind, value, code) for (kind, value), code in zip(statement.params, codes))
        return Message("Bind", statement.cls, name=name, portal=portal, values=given, formats=formats, results=self.rng.choice(((), (), (0,), (1,))))

    def execute(self, statement, portal="", limit=0):
        return Message("Execute", statement.cls, portal=portal, limit=limit, copy=statement.copy, pins=statement.pins, unpins=statement.unpins)

    def ask(self, statement, name="", portal=""):
        """Bind to Execute of a statement that is prepared."""
        described = [Message("Describe", statement.cls, what="P", portal=portal)] if self.chance(0.5) else []
        self.add(self.bind(statement, name, portal), *described, self.execute(statement, portal))

    def say(self, statement):
        """In some way of the protocol, at the end of a step or not."""
        if statement.simple or not self.chance(self.extended):
            self.query(statement)
        else:
            self.add(self.parse(statement))
            if self.chance(0.3):
                self.add(Message("Describe", statement.cls, what="S"))
            self.ask(statement)
            if self.chance(0.85):
                self.sync()
        if statement.begins:
            self.in_transaction = True
        if statement.ends:
            self.in_transaction = False
        if self.chance(self.cutting):
            self.cut()

    def write(self, length):
        actions = [name for name in ACTIONS if self.weights.get(name, 0) > 0 and ("extended" not in self.without or name == "block")]
        for _ in range(length):
            if actions and self.chance(0.4):
                ACTIONS[self.rng.choices(actions, [self.weights[name] for name in actions])[0]](self)
            else:
                self.say(self.pick(skip=() if self.in_transaction or self.chance(0.2) else ("savepoint", "set_local", "transaction")))
        if self.in_transaction and self.chance(0.9):
            self.say(Statement(self.rng.choice(("COMMIT", "ROLLBACK")), "transaction", ends=True))
        self.cut()
        return tuple(self.steps)


def generate(seed, without=(), tenants=tuple(TENANTS)):
    rng = random.Random(f"pglodge {seed}")
    weights = _flavour(rng, without)
    clients = []
    same = rng.choice(sorted(tenants)) if rng.random() < 0.3 else None
    for number in range(rng.randrange(2, CLIENTS + 1)):
        tenant = same or rng.choice(sorted(tenants))
        startup = _startup(rng, without)
        writer = Writer(rng, number, tenant, weights, without)
        if any(name == "app.z" for name, _ in startup):
            writer.placeholders.add("app.z")
        steps = writer.write(int(rng.triangular(2, 16, 5)))
        leave = "close" if "leave_abruptly" not in without and rng.random() < 0.1 else "terminate"
        clients.append(Client(tenant, startup, steps, leave))
    return Scenario(seed, tuple(clients), _schedule(rng, clients))


def _flavour(rng, without):
    weights = {**WEIGHTS, **ACTION_WEIGHTS}
    pinning = [name for name in PINNING if rng.random() < 0.35] if rng.random() < 0.45 else []
    for name in weights:
        if name in without or name in PINNING and name not in pinning:
            weights[name] = 0
        elif name in pinning:
            weights[name] *= rng.choice((1, 2, 4))
        else:
            weights[name] *= rng.choice((0, 0.3, 1, 1, 3))
    return weights


def _startup(rng, without):
    if "startup_error" not in without and rng.random() < 0.015:
        return (rng.choice(WRONG_STARTUP),)
    names = [name for name in STARTUP if rng.random() < 0.15]
    if "startup_options" in without:
        names = [name for name in names if name in REPORTED_AT_START]
    if "encoding" in without:
        names = [name for name in names if name != "client_encoding"]
    return tuple((name, rng.choice(STARTUP[name])) for name in names)


def _schedule(rng, clients):
    """Turns: one to connect, one for each step, one to leave; in runs, or thoroughly mixed."""
    left = [len(client.steps) + 2 for client in clients]
    keep = rng.choice((0.0, 0.5, 0.8))
    turns, current = [], 0
    while any(left):
        if not left[current] or rng.random() >= keep:
            current = rng.choice([number for number, count in enumerate(left) if count])
        turns.append(current)
        left[current] -= 1
    return tuple(turns)


assert not set(WEIGHTS) - set(REPERTOIRE), set(WEIGHTS) - set(REPERTOIRE)
assert statements
