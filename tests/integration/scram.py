"""SCRAM-SHA-256 by hand (RFC 5802, 7677), for what no driver would say."""

import base64
import hashlib
import hmac

from wire import message

OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12


def question(wire):
    """The next message, which must be an AuthenticationRequest, as (kind, data)."""
    kind, body = wire.until(b"R")[-1]
    assert kind == b"R"
    return int.from_bytes(body[:4], "big"), body[4:]


def initial(data, mechanism=b"SCRAM-SHA-256"):
    """SASLInitialResponse; None leaves the data out."""
    length = b"\xff\xff\xff\xff" if data is None else len(data).to_bytes(4, "big")
    return message(b"p", mechanism + b"\0" + length + (data or b""))


def response(data):
    return message(b"p", data)


def secret(password, salt=b"0123456789abcdef", iterations=4096):
    """As PostgreSQL stores it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key, server_key = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
    stored_key = hashlib.sha256(client_key).digest()
    salt, stored_key, server_key = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt}${stored_key}:{server_key}"


class Scram:
    """A client's side. `end_point`: what it binds to; then it chooses -PLUS."""

    def __init__(self, password, end_point=None, nonce=b"clientnonce", header=None):
        self.password = password
        self.header = header or (b"n,," if end_point is None else b"p=tls-server-end-point,,")
        self.binding = base64.b64encode(self.header + (end_point or b""))
        self.mechanism = b"SCRAM-SHA-256" if end_point is None else b"SCRAM-SHA-256-PLUS"
        self.first_bare = b"n=,r=" + nonce

    def first(self):
        return initial(self.header + self.first_bare, self.mechanism)

    def final_text(self, server_first):
        parts = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(parts[b"s"]), int(parts[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = b"c=" + self.binding + b",r=" + parts[b"r"]
        signed = b",".join((self.first_bare, server_first, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return without_proof + b",p=" + base64.b64encode(proof)

    def final(self, server_first):
        return response(self.final_text(server_first))

    def run(self, wire):
        """Everything up to the proof, whose answer is the caller's to read."""
        kind, _ = question(wire)
        assert kind == SASL
        wire.send(self.first())
        kind, data = question(wire)
        assert kind == SASL_CONTINUE
        wire.send(self.final(data))
