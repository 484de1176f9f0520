"""A client's connection: sends steps, reads their answers, and knows from what it asked when the last has come.

Counting ReadyForQuery would not do, since an error in the extended protocol makes the server skip everything, Query
messages too, up to the next Sync. So `Outstanding` walks through the messages sent as their answers come.
"""

import select
import socket
import struct
import time
from collections import deque

from scenario import ANSWERED_BY_READY, EXTENDED, frame

LAST_ANSWER = {"Parse": b"1", "Bind": b"2", "Close": b"3", "Describe": b"Tn", "Execute": b"CsI"}

# What a transcript has where the stream ends otherwise than by an answer.
CLOSED = (b"closed", b"")
SILENT = (b"silent", b"")


class Outstanding:
    """The messages whose answers have not come yet."""

    def __init__(self):
        self.queue = deque()
        self.status = b"I"
        self.skipping = False        # after an error, and no Sync has been sent since

    def ask(self, message):
        if message.kind == "Sync":
            self.skipping = False
        if message.kind != "Flush" and not self.skipping:
            self.queue.append(message.kind)

    def answer(self, kind, body):
        """Takes a message of the server's."""
        asked = self.queue[0] if self.queue else None
        if kind == b"Z":
            self.status = body
            if asked in ANSWERED_BY_READY:
                self.queue.popleft()
        elif kind == b"E" and asked in EXTENDED:
            while self.queue and self.queue[0] != "Sync":
                self.queue.popleft()
            self.skipping = not self.queue
        elif kind in LAST_ANSWER.get(asked, b""):
            self.queue.popleft()


class Session:
    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(None)
        self.buffer = b""
        self.outstanding = Outstanding()
        self.to_write = deque()      # parts of a step; None is where to wait for answers first
        self.seen = []               # the answers to the step so far, as (type, body)
        self.closed = False

    @property
    def status(self):
        return self.outstanding.status

    # Asking.

    def start(self, parameters):
        body = b"".join(name.encode() + b"\0" + value.encode() + b"\0" for name, value in parameters) + b"\0"
        self.seen = []
        self.outstanding.queue.append("Sync")     # ReadyForQuery ends it likewise
        self._write(struct.pack("!II", len(body) + 8, 3 << 16) + body)

    def send(self, step):
        """Writes up to the first Flush that waits; `read` writes the rest when the answers are there."""
        self.seen, data = [], b""
        for message in step.messages:
            data += message.encode()
            self.to_write.append(message)
            if message.wait:
                self.to_write.append((data, 0))
                data = b""
        self.to_write.append((data, step.split))
        self._write_on()

    def _write_on(self):
        while self.to_write:
            part = self.to_write.popleft()
            if not isinstance(part, tuple):
                self.outstanding.ask(part)
                continue
            data, split = part
            if 0 < split < len(data):
                self._write(data[:split])
                time.sleep(0.002)    # so that it is seen in two parts; what is answered must be the same if it is not
                data = data[split:]
            self._write(data)
            return

    def _write(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass                     # what the other side said before it closed is still to be read

    # Reading.

    def read(self, seconds):
        """Reads until all of the step is answered. Gives whether it is, or the stream has ended, within that time."""
        until = time.monotonic() + seconds
        while True:
            if not self.outstanding.queue or self.closed:
                if not self.to_write or self.closed:
                    return True
                self._write_on()
                continue
            if not self._read_some(until):
                return False

    def _read_some(self, until):
        left = max(0.0, until - time.monotonic())
        if not select.select([self.socket], [], [], left)[0]:
            return False
        try:
            data = self.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.closed = True
            self.seen.append(CLOSED)
            return True
        self.buffer += data
        self._take_messages()
        return True

    def _take_messages(self):
        buffer, at, end = self.buffer, 0, len(self.buffer)
        while end - at >= 5:
            length = int.from_bytes(buffer[at + 1:at + 5], "big") + 1
            if end - at < length:
                break
            kind, body = buffer[at:at + 1], buffer[at + 5:at + length]
            at += length
            self.seen.append((kind, body))
            self.outstanding.answer(kind, body)
        self.buffer = buffer[at:]

    # Leaving.

    def leave(self, how):
        """Says so, or only closes this side; what the other side does is seen later, by `end`."""
        self.seen = []
        if how == "terminate":
            self._write(frame(b"X"))
        else:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def end(self, seconds):
        """Waits until the other side has closed. Gives what still came, which should be nothing."""
        until = time.monotonic() + seconds
        while not self.closed:
            if not self._read_some(until):
                self.seen.append(SILENT)
                break
        self.socket.close()
        return [answer for answer in self.seen if answer is not CLOSED]

    def abandon(self):
        self.socket.close()
