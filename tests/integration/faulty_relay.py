"""A TCP relay that misbehaves by plan, to be put in front of a PostgreSQL server or of the lodge.

It cuts both streams into messages, so that a fault can be told by its place: after the n-th message of a direction, or
within the next one. `UP` is from whoever connects, `DOWN` towards it. Plain text only. One plan at a time, counted from
the moment it is armed, over all connections; it fires once.
"""

import asyncio
import socket
import struct
import threading
import time

UP, DOWN = "up", "down"
CANCEL_REQUEST = 80877102


class Plan:
    """After `after` whole messages of `direction`, and half of the next one if `half`: cut ("reset" or "close"), or stall
    until the relay is told to go on."""

    def __init__(self, direction, after, half=False, what="reset"):
        self.direction, self.after, self.half, self.what = direction, after, half, what
        self.seen = 0
        self.fired = False


class FaultyRelay:
    def __init__(self, to, port=0):
        self.to = to
        self.socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.port = self.socket.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        self.plan = None
        self.counts = {UP: 0, DOWN: 0}
        self.attempts = []       # when somebody connected
        self.open = 0            # connections that reach the other side
        self.most_open = 0
        self.refusing = False    # resets whoever comes
        self.hanging = False     # lets in whoever comes, and says nothing
        self.delay = 0           # for each message, in seconds
        self.bytewise = False    # one byte at a time
        self.pairs = set()
        self.loop = asyncio.new_event_loop()
        self.going_on = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.started = threading.Event()

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(15)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.socket.close()

    # What it shall do; from the test's thread.

    def arm(self, plan):
        self._call(lambda: setattr(self, "plan", plan))
        return plan

    def disarm(self):
        self.arm(None)

    def count(self):
        """Counts messages from now on."""
        self._call(lambda: self.counts.update({UP: 0, DOWN: 0}))

    def go_on(self):
        self._call(self.going_on.set)

    def cut_all(self):
        """Resets every connection that is there."""
        self._call(lambda: [self._cut(pair, "reset") for pair in list(self.pairs)])

    def _call(self, what):
        done = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (what(), done.set()))
        assert done.wait(15)

    # Its own thread.

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.going_on = asyncio.Event()
        self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.socket, backlog=1024))
        self.started.set()
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))

    async def _serve(self, reader, writer):
        self.attempts.append(time.monotonic())
        if self.refusing:
            return self._reset(writer)
        if self.hanging:
            await reader.read()
            return writer.close()
        try:
            there = await asyncio.open_connection("127.0.0.1", self.to)
        except OSError:
            return self._reset(writer)
        pair = (writer, there[1])
        for one in pair:
            one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pairs.add(pair)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            up = asyncio.ensure_future(self._pump(UP, reader, there[1], pair))
            down = asyncio.ensure_future(self._pump(DOWN, there[0], writer, pair))
            await asyncio.wait((up, down), return_when=asyncio.ALL_COMPLETED)
        finally:
            self.open -= 1
            self.pairs.discard(pair)
            for one in pair:
                one.close()

    async def _pump(self, direction, reader, writer, pair):
        typed = direction == DOWN
        try:
            while True:
                head = await reader.readexactly(5 if typed else 8)
                length = struct.unpack("!I", head[1:5] if typed else head[:4])[0]
                body = await reader.readexactly(length + 1 - 5 if typed else length - 8)
                if not typed and struct.unpack("!I", head[4:])[0] == CANCEL_REQUEST:
                    writer.write(head + body)
                    continue
                typed = True
                if not await self._pass(direction, head + body, writer, pair):
                    return
        except asyncio.IncompleteReadError as rest:
            # What is no whole message goes on as it is, and then the end.
            if rest.partial:
                writer.write(rest.partial)
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
        except (ConnectionError, OSError):
            self._cut(pair, "reset")

    async def _pass(self, direction, message, writer, pair):
        plan = self.plan
        if self.delay:
            await asyncio.sleep(self.delay)
        if plan and not plan.fired and plan.direction == direction:
            if plan.seen == plan.after:
                plan.fired = True
                if plan.half:
                    writer.write(message[:max(1, len(message) // 2)])
                    await writer.drain()
                if plan.what == "stall":
                    await self.going_on.wait()
                    self.going_on.clear()
                    message = message[max(1, len(message) // 2):] if plan.half else message
                else:
                    self._cut(pair, plan.what)
                    return False
            plan.seen += 1
        self.counts[direction] += 1
        if self.bytewise:
            for i in range(len(message)):
                writer.write(message[i:i + 1])
                await writer.drain()
                await asyncio.sleep(0)
        else:
            writer.write(message)
            await writer.drain()
        return True

    def _cut(self, pair, how):
        for one in pair:
            if how == "reset":
                self._reset(one)
            else:
                one.close()

    @staticmethod
    def _reset(writer):
        if writer.is_closing():
            return
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
