"""The protocol by hand, for what no driver would send and for errors that drivers hide at connect."""

import socket
import struct

V3_0 = 3 << 16
V3_2 = 3 << 16 | 2
SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)


def startup(parameters, version=V3_0):
    """A StartupMessage. `parameters` is a dict, or a list of pairs where one name may stand twice."""
    pairs = parameters.items() if isinstance(parameters, dict) else parameters
    body = b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in pairs) + b"\0"
    return struct.pack("!II", len(body) + 8, version) + body


def cancel_request(process_id, secret):
    return struct.pack("!III", 12 + len(secret), 80877102, process_id) + secret


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def query(sql):
    return message(b"Q", sql.encode() + b"\0")


def fields_of(body):
    """The fields of an ErrorResponse or NoticeResponse, by their letter."""
    return {part[:1].decode(): part[1:].decode(errors="backslashreplace") for part in body.split(b"\0") if part}


class ServerError(Exception):
    def __init__(self, body):
        self.fields = fields_of(body)
        super().__init__(str(self.fields))

    severity = property(lambda self: self.fields.get("V"))
    sqlstate = property(lambda self: self.fields.get("C"))
    message = property(lambda self: self.fields.get("M"))
    detail = property(lambda self: self.fields.get("D", ""))
    hint = property(lambda self: self.fields.get("H", ""))


class Closed(Exception):
    """The other side closed where a message should be."""


class Wire:
    """One connection. Every read has a limit, so that a test fails rather than hangs."""

    def __init__(self, address, timeout=15):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout=timeout)
        self.parameters = {}
        self.notices = []
        self.negotiated = None
        self.process_id, self.secret, self.status = None, None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def start_tls(self, context, server_hostname=None):
        """By SSLRequest; gives the wire."""
        self.send(SSL_REQUEST)
        assert self.exactly(1) == b"S"
        return self.shake_hands(context, server_hostname)

    def shake_hands(self, context, server_hostname=None, session=None):
        self.socket = context.wrap_socket(self.socket, server_hostname=server_hostname, session=session)
        return self

    def close(self):
        self.socket.close()

    def reset(self):
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise Closed(f"closed after {len(data)} of {count} bytes")
            data += chunk
        return data

    def read(self):
        """The next message as (type, body)."""
        kind = self.exactly(1)
        length = struct.unpack("!I", self.exactly(4))[0]
        return kind, self.exactly(length - 4)

    def until(self, *kinds):
        """Messages up to the first of one of these types, which is the last of the list. Errors raise."""
        seen = []
        while True:
            kind, body = self.read()
            seen.append((kind, body))
            if kind == b"E" and b"E" not in kinds:
                raise ServerError(body)
            if kind == b"N":
                self.notices.append(fields_of(body))
            if kind == b"S":
                name, value = body.decode().split("\0")[:2]
                self.parameters[name] = value
            if kind == b"v":
                self.negotiated = body
            if kind == b"K":
                self.process_id, self.secret = struct.unpack("!I", body[:4])[0], body[4:]
            if kind == b"Z":
                self.status = body.decode()
            if kind in kinds:
                return seen

    def login(self, user, database=None, version=V3_0, **more):
        parameters = {"user": user, **({"database": database} if database else {}), **more}
        self.send(startup(parameters, version))
        self.until(b"Z")
        return self

    def rows(self, sql):
        """The rows of a simple query, as tuples of text. An error raises once the server is ready again."""
        self.send(query(sql))
        result, error = [], None
        while True:
            kind, body = self.until(b"D", b"Z", b"E", b"G", b"H")[-1]
            if kind == b"E":
                error = ServerError(body)
                if error.severity == "FATAL":
                    raise error
            elif kind == b"D":
                result.append(columns(body))
            elif kind == b"Z":
                if error:
                    raise error
                return result

    def value_or_none(self, sql):
        """None: an error, after which the session goes on."""
        try:
            return self.value(sql)
        except ServerError as error:
            if error.severity == "FATAL":
                raise

    def value(self, sql):
        return self.rows(sql)[0][0]

    def refusal(self, after=b""):
        """The ErrorResponse that must come next, with the end of the connection after it.

        Before it only messages of the types in `after`, notices and the like may come.
        """
        while True:
            kind, body = self.read()
            if kind == b"E":
                self.expect_closed()
                return ServerError(body)
            assert kind in b"vNS" + after, f"expected an error, got {kind} {body}"

    def expect_closed(self):
        rest = self.socket.recv(65536)
        assert rest == b"", f"expected the end, got {rest[:100]}"


def columns(body):
    count, at, row = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(count):
        length = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        row.append(None if length < 0 else body[at:at + length].decode(errors="backslashreplace"))
        at += max(length, 0)
    return tuple(row)
