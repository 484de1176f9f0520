"""PostgreSQL servers that misbehave, and one that trusts everybody and costs nothing.

A FakeServer runs its handler, a coroutine, once per connection in a thread of its own. It records every startup
packet that reaches it, and counts connections.
"""

import asyncio
import socket
import struct
import threading

from wire import message

READY = message(b"Z", b"I")


def error_response(**fields):
    return message(b"E", b"".join(k.encode() + v.encode() + b"\0" for k, v in fields.items()) + b"\0")


class FakeServer:
    def __init__(self, handler):
        self.handler = handler
        self.startups = []
        self.cancels = []
        self.connections = 0
        self.open = 0
        self.changed = threading.Condition()
        self.loop = asyncio.new_event_loop()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.socket.close()

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.socket, backlog=1024))
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader, writer):
        self._count(connections=1, open=1)
        try:
            await self.handler(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._count(open=-1)

    def _count(self, **changes):
        with self.changed:
            for name, by in changes.items():
                setattr(self, name, getattr(self, name) + by)
            self.changed.notify_all()

    def wait(self, condition, timeout=15):
        """Waits until condition(self) holds; it is looked at whenever a connection, startup or cancel came or went."""
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self), timeout), "the fake server waited in vain"

    async def read_startup(self, reader):
        length, version = struct.unpack("!II", await reader.readexactly(8))
        body = await reader.readexactly(length - 8)
        with self.changed:
            if version == 80877102:
                self.cancels.append(body)
            else:
                parts = body.decode().split("\0")[:-2]
                self.startups.append(dict(zip(parts[::2], parts[1::2])))
            self.changed.notify_all()
        return version != 80877102


# Handlers.

async def silent(server, reader, writer):
    """Accepts, reads and never answers."""
    while await reader.read(4096):
        pass


async def close_at_once(server, reader, writer):
    await server.read_startup(reader)


async def close_in_the_middle(server, reader, writer):
    """Half an AuthenticationOk."""
    await server.read_startup(reader)
    writer.write(message(b"R", struct.pack("!I", 0))[:6])
    await writer.drain()


async def garbage(server, reader, writer):
    await server.read_startup(reader)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()
    await reader.read(1)


async def endless_greeting(server, reader, writer):
    """ParameterStatus without end: must not fill the lodge's memory."""
    await server.read_startup(reader)
    writer.write(message(b"R", struct.pack("!I", 0)))
    while True:
        writer.write(message(b"S", b"x\0" + b"y" * 1000 + b"\0"))
        await writer.drain()


def says(**fields):
    """Answers the startup packet with an ErrorResponse of these fields."""
    async def handler(server, reader, writer):
        await server.read_startup(reader)
        writer.write(error_response(**fields))
        await writer.drain()
    return handler


async def let_in(server, reader, writer, standby=False, key=struct.pack("!II", 4711, 0xC0FFEE)):
    """False: it was a cancel request."""
    if not await server.read_startup(reader):
        return False
    greeting = message(b"R", struct.pack("!I", 0))
    for name, value in (("server_version", "15.0"), ("client_encoding", "UTF8"),
                        ("in_hot_standby", "on" if standby else "off")):
        greeting += message(b"S", f"{name}\0{value}\0".encode())
    writer.write(greeting + message(b"K", key) + READY)
    await writer.drain()
    return True


def trusting(standby=False, after_query=None, key=struct.pack("!II", 4711, 0xC0FFEE)):
    """Lets everybody in and answers each Query with an empty result; `after_query(writer)` may do something worse."""
    async def handler(server, reader, writer):
        if not await let_in(server, reader, writer, standby, key):
            return
        while True:
            kind = await reader.readexactly(1)
            length = struct.unpack("!I", await reader.readexactly(4))[0]
            await reader.readexactly(length - 4)
            if kind == b"X":
                return
            if kind == b"Q":
                if after_query:
                    await after_query(writer)
                    return
                writer.write(message(b"I") + READY)
                await writer.drain()
    return handler


def refusing_host():
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
