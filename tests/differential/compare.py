"""Turns what servers said into what clients may compare, and finds the first difference.

Blanked, since it may differ between two PostgreSQL sessions: process ids and cancel keys, the numbers of temporary
schemas. Object identifiers given by users' own objects are replaced by the order in which a client meets them. Parameter
reports that come together are sorted by name: their order has no meaning. Whether a startup that fails does so before or
after AuthenticationOk is left to whoever authenticates.
"""

import re
import struct
from dataclasses import dataclass

NAMES = {b"R": "Authentication", b"K": "BackendKeyData", b"S": "ParameterStatus", b"Z": "ReadyForQuery",
         b"T": "RowDescription", b"t": "ParameterDescription", b"D": "DataRow", b"C": "CommandComplete", b"E": "ErrorResponse",
         b"N": "NoticeResponse", b"A": "NotificationResponse", b"I": "EmptyQueryResponse", b"1": "ParseComplete",
         b"2": "BindComplete", b"3": "CloseComplete", b"n": "NoData", b"s": "PortalSuspended", b"G": "CopyInResponse",
         b"H": "CopyOutResponse", b"d": "CopyData", b"c": "CopyDone", b"V": "FunctionCallResponse",
         b"v": "NegotiateProtocolVersion", b"closed": "(closed)", b"silent": "(no answer in time)"}

FIRST_USER_OID = 16384
TEMPORARY = re.compile(rb"pg_(toast_)?temp_\d+")
STALE = re.compile(rb"\0C(0A000|42703|42P01)\0")
PLACE = re.compile(rb"\0[FLR][^\0]*")
PROCESS = re.compile(rb"(process|PID) \d+")


class Normaliser:
    """One for each client and run: it numbers the objects that the client meets."""

    def __init__(self, lenient=False):
        self.lenient = lenient
        self.objects = {}

    def __call__(self, answers):
        kinds = {kind for kind, _ in answers}
        if b"R" in kinds and b"K" not in kinds:
            answers = [answer for answer in answers if answer[0] != b"R"]
        return _sort_reports(_stale_plans([self._one(kind, body) for kind, body in answers]))

    def _one(self, kind, body):
        if kind == b"T":
            body = self._row_description(body)
        elif kind == b"t":
            body = body[:2] + b"".join(self._object(body[at:at + 4]) for at in range(2, len(body), 4))
        elif kind == b"K":
            body = b""
        elif kind == b"A":
            body = body[4:]
        elif kind in (b"E", b"N"):
            body = PROCESS.sub(rb"\1 N", TEMPORARY.sub(rb"pg_temp_N", body))
            if self.lenient:
                body = PLACE.sub(b"", body)
        elif kind in (b"D", b"d") and b"temp_" in body:
            body = TEMPORARY.sub(rb"pg_temp_N", body)
        return kind, body

    def _object(self, oid):
        number = int.from_bytes(oid, "big")
        if number < FIRST_USER_OID:
            return oid
        return b"#" + struct.pack("!I", self.objects.setdefault(number, len(self.objects)))[1:]

    def _row_description(self, body):
        at, made = 2, [body[:2]]
        while at < len(body):
            end = body.index(0, at) + 1
            made += (body[at:end], self._object(body[end:end + 4]), body[end + 4:end + 6],
                     self._object(body[end + 6:end + 10]), body[end + 10:end + 18])
            at = end + 18
        return b"".join(made)


def _stale_plans(answers):
    """A plan that went stale is found out by whoever prepares it again: the error is the same, its place in PostgreSQL's
    source is not, and of a Describe the parameters may come before it or not. Rows of SHOW ALL that a library brought
    along, once somebody needed it, are nobody's."""
    made = []
    for kind, body in answers:
        # In a failed transaction, too: a statement is refused when it is prepared again, before it is bound.
        if kind == b"E" and (b"cached plan must not change result type" in body or b"\0C25P02\0" in body):
            body = PLACE.sub(b"", body)
        if kind == b"E" and made and made[-1][0] == b"t" and STALE.search(body):
            made.pop()
        if kind == b"D" and body[:2] == b"\0\3" and body[6:14] == b"plpgsql.":
            continue
        made.append((kind, body))
    return made


def _sort_reports(answers):
    made, run = [], []
    for answer in answers:
        if answer[0] == b"S":
            run.append(answer)
            continue
        made += sorted(run)
        run.clear()
        made.append(answer)
    return made + sorted(run)


@dataclass(frozen=True)
class Difference:
    """The first answer of a client's that differs; `step` -1 is its startup, len(steps) its leaving."""
    client: int
    step: int
    at: int
    expected: list
    got: list

    def is_stale_plan(self):
        """Of an unnamed statement it is known: one whose result a change of the schema changed between two transactions: the lodge prepares
        it anew where a server would refuse it. Documented; what follows in the scenario cannot be compared."""
        return self._expects_error(b"cached plan must not change result type")

    def is_older_process(self):
        """One that had a temporary schema before. Documented, too."""
        return self._expects_error(b'schema "pg_temp" does not exist')

    def is_late_isolation(self):
        """What restores a RESET is a query, after which a transaction's characteristics cannot be set. Documented, too."""
        kind, body = self.got[self.at] if self.at < len(self.got) else (b"", b"")
        return kind == b"E" and b"\0C25001\0" in body and b"must be called before any query" in body

    def _expects_error(self, words):
        kind, body = self.expected[self.at] if self.at < len(self.expected) else (b"", b"")
        return kind == b"E" and words in body

    def kind(self):
        """What stays the same while a failure is shrunk: what is missing or wrong, not its text."""
        def one(answers):
            if self.at >= len(answers):
                return "nothing"
            kind, body = answers[self.at]
            code = re.search(rb"\0C(\w{5})", body) if kind in (b"E", b"N") else None
            return NAMES.get(kind, str(kind)) + (f" {code[1].decode()}" if code else "")
        return f"expected {one(self.expected)}, got {one(self.got)}"

    def show(self, around=4):
        first = max(0, self.at - around)
        lines = [f"    ({first} equal answers before)"] if first else []
        for at in range(first, min(max(len(self.expected), len(self.got)), self.at + around)):
            wanted, came = (show_answer(side[at]) if at < len(side) else "(nothing)" for side in (self.expected, self.got))
            if wanted == came and at != self.at:
                lines.append(f"      both      {wanted}")
            else:
                lines += [f"    {'>' if at == self.at else ' '} expected  {wanted}", f"      got       {came}"]
        return "\n".join(lines)


def first_difference(client, step, expected, got):
    """None if the two lists of normal answers are equal."""
    if expected == got:
        return None
    at = next((i for i, (one, other) in enumerate(zip(expected, got)) if one != other), min(len(expected), len(got)))
    return Difference(client, step, at, expected, got)


def show_answer(answer, longest=300):
    kind, body = answer
    name = NAMES.get(kind, repr(kind))
    if kind in (b"E", b"N"):
        shown = " ".join(f"{part[:1].decode()}={part[1:].decode(errors='replace')!r}" for part in body.split(b"\0") if part)
    elif kind == b"D":
        shown = str(_columns(body))
    elif kind == b"T":
        shown = str(_fields(body))
    elif kind == b"t":
        shown = str([body[at:at + 4] if body[at:at + 1] == b"#" else int.from_bytes(body[at:at + 4], "big")
                     for at in range(2, len(body), 4)])
    else:
        shown = repr(body.rstrip(b"\0"))[1:] if body else ""
    return f"{name} {shown if len(shown) <= longest else shown[:longest] + '...'}".rstrip()


def _columns(body):
    at, row = 2, []
    while at < len(body):
        length = struct.unpack("!i", body[at:at + 4])[0]
        row.append(None if length < 0 else body[at + 4:at + 4 + length])
        at += 4 + max(length, 0)
    return row


def _fields(body):
    at, made = 2, []
    while at < len(body):
        end = body.index(0, at)
        table, column, kind, size, modifier, code = struct.unpack("!IhIhih", body[end + 1:end + 19])
        table = f"#{table & 0xffffff}" if table >> 24 == ord("#") else table
        kind = f"#{kind & 0xffffff}" if kind >> 24 == ord("#") else kind
        made.append(f"{body[at:end].decode(errors='replace')}: table {table}.{column} type {kind}({modifier}) size {size}"
                    f"{' binary' if code else ''}")
        at = end + 19
    return made
