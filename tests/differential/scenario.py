"""What is run: clients, their steps, the messages of a step. Values only, so that the shrinker can cut them freely.

A step is what a client writes at once, after which it reads every answer; a Flush with `wait` makes it read in the
middle. The data of a COPY ... FROM STDIN belongs to the message that starts it, so that no cut leaves a server waiting
for it. Whatever else is cut, a step stays one that the server answers with ReadyForQuery: see `Step.whole`.
"""

import struct
from dataclasses import dataclass, replace

# Object identifiers of the types that parameters are given in; 0 leaves the type to the server.
TYPES = {"int4": 23, "int8": 20, "text": 25, "bool": 16, "float8": 701, "": 0}
TYPE_NAMES = {oid: name for name, oid in TYPES.items()}

EXTENDED = ("Parse", "Bind", "Describe", "Execute", "Close")
ANSWERED_BY_READY = ("Query", "Function", "Sync")


@dataclass(frozen=True)
class Message:
    """One message of a client's, `kind` being a name below; `cls` is the class of statement that it is counted as."""
    kind: str
    cls: str = ""
    sql: str = ""
    name: str = ""           # of a prepared statement
    portal: str = ""
    what: str = ""           # Describe, Close: "S" or "P"
    types: tuple = ()        # Parse: object identifiers
    values: tuple = ()       # Bind, Function: bytes or None
    formats: tuple = ()      # Bind, Function: 0 is text, 1 binary
    results: tuple = ()      # likewise of the results
    limit: int = 0           # Execute: rows
    function: int = 0        # Function: object identifier
    wait: bool = False       # Flush: read what has been asked for before going on
    copy: tuple = ()         # Query, Execute: ("d", bytes), ("c",), ("f", text)
    pins: bool = False       # it may keep a server connection to its client; see driver.py
    unpins: bool = False     # nothing is kept after it

    def encode(self):
        return getattr(self, "_encode_" + self.kind.lower())() + b"".join(map(_copy_message, self.copy))

    def _encode_query(self):
        return frame(b"Q", text(self.sql))

    def _encode_parse(self):
        return frame(b"P", text(self.name) + text(self.sql) + int16(len(self.types)) +
                     b"".join(struct.pack("!I", oid) for oid in self.types))

    def _encode_bind(self):
        return frame(b"B", text(self.portal) + text(self.name) + int16s(self.formats) + values(self.values) +
                     int16s(self.results))

    def _encode_describe(self):
        return frame(b"D", self.what.encode() + text(self.portal if self.what == "P" else self.name))

    def _encode_close(self):
        return frame(b"C", self.what.encode() + text(self.portal if self.what == "P" else self.name))

    def _encode_execute(self):
        return frame(b"E", text(self.portal) + struct.pack("!i", self.limit))

    def _encode_function(self):
        return frame(b"F", struct.pack("!I", self.function) + int16s(self.formats) + values(self.values) +
                     int16(self.results[0] if self.results else 0))

    def _encode_flush(self):
        return frame(b"H")

    def _encode_sync(self):
        return frame(b"S")

    def __str__(self):
        return getattr(self, "_show_" + self.kind.lower(), lambda: self.kind)() + "".join(map(_show_copy, self.copy))

    def _show_query(self):
        return f"Query {quoted(self.sql)}"

    def _show_parse(self):
        types = " " + ", ".join(TYPE_NAMES.get(oid, str(oid)) or "?" for oid in self.types) if self.types else ""
        return f"Parse {quoted(self.name)} {quoted(self.sql)}{types}"

    def _show_bind(self):
        given = ", ".join(f"{value!r}{' binary' if code else ''}" for value, code in zip(
            self.values, self.formats if len(self.formats) == len(self.values) else (self.formats or (0,)) * len(self.values)))
        asked = f" results {list(self.results)}" if self.results else ""
        return f"Bind portal {quoted(self.portal)} of {quoted(self.name)} ({given}){asked}"

    def _show_describe(self):
        return f"{self.kind} {'portal' if self.what == 'P' else 'statement'} {quoted(self.portal or self.name)}"

    _show_close = _show_describe

    def _show_execute(self):
        return f"Execute {quoted(self.portal)}{f' at most {self.limit} rows' if self.limit else ''}"

    def _show_function(self):
        return f"FunctionCall {self.function} {self.values} formats {self.formats} result {self.results}"

    def _show_flush(self):
        return "Flush, wait" if self.wait else "Flush"


@dataclass(frozen=True)
class Step:
    messages: tuple
    split: int = 0           # write so many bytes first, and the rest a moment later

    def whole(self):
        """Whether the server answers all of it: what is asked by the extended protocol is followed by a Sync."""
        return bool(self.messages) and self.messages[-1].kind in ANSWERED_BY_READY


@dataclass(frozen=True)
class Client:
    tenant: str
    startup: tuple           # of pairs: parameters beside user and database
    steps: tuple             # of Step
    leave: str = "terminate"  # or "close": without a word

    def show_startup(self):
        return "".join(f" {name}={value!r}" for name, value in self.startup) or " (nothing)"


@dataclass(frozen=True)
class Scenario:
    seed: int
    clients: tuple           # of Client
    schedule: tuple          # of client indexes: whose turn it is; the first turn is to connect

    def show(self):
        lines = []
        for number, client in enumerate(self.clients):
            if not (client.steps or client.startup) and number not in self.schedule:
                continue
            lines.append(f"  client {number} (tenant {client.tenant}): startup{client.show_startup()}")
            for at, step in enumerate(client.steps):
                if step.messages:
                    cut = f"   [written in two parts, cut at byte {step.split}]" if step.split else ""
                    lines.append(f"    step {at}: " + "\n            ".join(map(str, step.messages)) + cut)
            lines.append(f"    leaves by {client.leave}")
        lines.append(f"  turns: {' '.join(map(str, self.schedule))}")
        return "\n".join(lines)

    def with_client(self, number, client):
        return replace(self, clients=self.clients[:number] + (client,) + self.clients[number + 1:])


def frame(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def text(value):
    return value.encode() + b"\0"


def int16(value):
    return struct.pack("!h", value)


def int16s(numbers):
    return int16(len(numbers)) + b"".join(map(int16, numbers))


def values(given):
    return int16(len(given)) + b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in given)


def quoted(value, longest=400):
    shown = value if len(value) <= longest else f"{value[:longest]}... ({len(value)} characters)"
    return '"' + shown.replace("\n", "\\n") + '"'


def _copy_message(part):
    return frame(part[0].encode(), part[1] if part[0] == "d" else text(part[1]) if part[0] == "f" else b"")


def _show_copy(part):
    return {"d": "\n            CopyData {!r}", "f": "\n            CopyFail {!r}", "c": "\n            CopyDone"}[
        part[0]].format(*(part[1:2] or ("",)))
