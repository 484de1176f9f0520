"""1 to 10,000 tenants by Zipf's law on 16 server connections: transactions a second, and what a change of clothes costs."""

import bisect
import contextlib
import itertools
import random
import select
import time
from pathlib import Path

import stage
from wire import Wire, query

SERVER_CONNECTIONS = 16
AT_ONCE = 64
TENANTS = (1, 8, 1000, 10_000)
SECONDS = 6
ROUNDS = 3


def measure(_):
    with stage.cluster() as server:
        table = stage.routes(server, size=SERVER_CONNECTIONS)
        # Each has a search_path of its own, and the table that they share is at its end: the server's caches do not grow.
        table["defaults"].update(search_path=["{tenant}", "public"])
        table["tenants"] = {f"t{number}": {} for number in range(max(TENANTS))}
        with stage.lodge(table) as lodge, contextlib.ExitStack() as doors:
            crowds = [doors.enter_context(Crowd(server, lodge, tenants)) for tenants in TENANTS]
            for crowd in crowds:
                crowd.run(1)
            for _ in range(ROUNDS):
                for crowd in crowds:
                    print(crowd.run(SECONDS), flush=True)


class Crowd:
    """Sessions, of whom AT_ONCE are always at work. There is one for each tenant or, where tenants are few, AT_ONCE shared among them."""

    def __init__(self, server, lodge, tenants):
        self.server, self.lodge, self.tenants = server, lodge, tenants
        self.dice = random.Random(tenants)
        self.weights = list(itertools.accumulate(1 / rank for rank in range(1, tenants + 1)))
        self.idle = {}
        self.sessions = []

    def __enter__(self):
        for number in range(max(self.tenants, AT_ONCE)):
            tenant = number if self.tenants >= AT_ONCE else self.pick()
            wire = Wire(("127.0.0.1", self.lodge.port)).login(f"{stage.USER}.t{tenant}", "acme")
            wire.socket.setblocking(False)
            self.sessions.append(wire.socket)
        return self

    def __exit__(self, *_):
        for each in self.sessions:
            each.close()

    def pick(self):
        return bisect.bisect(self.weights, self.dice.random() * self.weights[-1])

    def next(self, busy):
        """A session that is free; the most popular tenants' are asked for again and again."""
        while True:
            number = self.pick() if self.tenants >= AT_ONCE else self.dice.randrange(len(self.sessions))
            if self.sessions[number] not in busy:
                return self.sessions[number]

    def run(self, seconds):
        asks = [query(f"SELECT abalance FROM pgbench_accounts WHERE aid = {self.dice.randrange(1, 100_000)}") for _ in range(1000)]
        by_descriptor = {each.fileno(): each for each in self.sessions}
        poll, busy, done = select.epoll(), set(), 0
        for descriptor in by_descriptor:
            poll.register(descriptor, select.EPOLLIN)
        before, began = self.used(), time.monotonic()
        while (now := time.monotonic()) < began + seconds or busy:
            while len(busy) < AT_ONCE and now < began + seconds:
                session = self.next(busy)
                session.send(asks[done % len(asks)])
                busy.add(session)
                done += 1
            ready = poll.poll(10)
            assert ready, "nobody is answered any more"
            for descriptor, _ in ready:
                session = by_descriptor[descriptor]
                said = session.recv(65536)
                assert said and said[:1] != b"E", said
                if said[-6:] == b"Z\0\0\0\5I":
                    busy.discard(session)
        took = time.monotonic() - began
        lodge, postgres = (after - before for after, before in zip(self.used(), before, strict=True))
        poll.close()
        return (f"{self.tenants:>6} tenants: {done / took:>6.0f} a second; "
                f"CPU a transaction: lodge {1e6 * lodge / done:.1f} us, PostgreSQL {1e6 * postgres / done:.1f} us")

    def used(self):
        """Seconds of CPU so far, of the lodge and of PostgreSQL."""
        backends = self.server.children(self.server.postmaster())
        return seconds(self.lodge.process.pid), sum(seconds(pid) for pid in backends)


def seconds(pid):
    """CPU of all threads so far, by the scheduler's clock."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
