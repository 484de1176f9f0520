"""Runs a scenario against one world: whose turn it is, who must wait for whom, what came back.

Clients share nothing that they look at, so each one's answers must be the same however their turns fall; the turns are
nevertheless fixed, and one thread takes them all, so that a failure comes again. A client that finds all the lodge's
server connections held by others (inside a transaction, or pinned) cannot be waited for: its step is sent, thus queued in
the lodge, and its answer read as soon as a holder is done. Who holds is told by ReadyForQuery; a pin cannot be seen, so
each client that said something that may pin counts as a holder. Being wrong costs nothing if it holds none, and
`PATIENCE` if it holds one unnoticed: after that time the others go on, and only when all of them are done it is a hang.
"""

import select
import time
from collections import deque

from compare import Normaliser, first_difference
from session import SILENT, Session

PATIENCE = 0.4


class Turn:
    """One client of a scenario while it runs."""

    def __init__(self, number, client, present):
        self.number, self.client = number, client
        self.session = None
        self.steps = deque(enumerate(client.steps))
        self.at = -1                 # the step that was sent last; -1 is the startup
        self.asked = ()              # its messages
        self.waiting = False         # for an answer
        self.pinned = False
        self.broken = False          # closed or given up before it was to leave
        self.left = not present

    @property
    def holds(self):
        return self.session is not None and not self.left and (self.session.status != b"I" or self.pinned)


class Run:
    """`world` opens sessions; with `expected`, the run ends at the first difference from it."""

    def __init__(self, world, scenario, limit, lenient=False, expected=None):
        self.world, self.limit, self.expected = world, limit, expected
        self.size = world.pool_size
        self.turns = [Turn(number, client, number in scenario.schedule) for number, client in enumerate(scenario.clients)]
        self.schedule = scenario.schedule
        self.normalise = [Normaliser(lenient) for _ in scenario.clients]
        self.transcript = {}         # (client, step) -> normal answers
        self.difference = None

    def go(self):
        try:
            for number in self.schedule:
                turn = self.turns[number]
                if not turn.left and not turn.waiting:
                    self._take(turn)
                if self.difference:
                    return self
            while not self.difference and any(not turn.left for turn in self.turns):
                self._end_one()
            self._see_all_end()
            return self
        finally:
            for turn in self.turns:
                if turn.session:
                    turn.session.abandon()

    def _take(self, turn):
        """Sends the next step and reads its answer, unless it has to wait."""
        if turn.session is None:
            turn.session = Session(self.world.address)
            turn.session.start(self.world.startup(turn.client))
        elif turn.steps:
            turn.at, step = turn.steps.popleft()
            if not step.messages:
                return
            turn.asked = step.messages
            turn.session.send(step)
        else:
            self._leave(turn)
            return
        turn.waiting = True
        if turn.holds or self._holders() < self.size:
            self._read(turn, PATIENCE if self._others(turn) else self.limit)
            if turn.waiting:
                self._read_any(0)    # so somebody holds what it needs: perhaps one whose answer is here already
        if not turn.waiting:
            self._read_waiting()

    def _end_one(self):
        """After the last turn: those who hold end first, then the others."""
        turn = min((turn for turn in self.turns if not turn.left), key=lambda turn: (turn.waiting, not turn.holds))
        if not turn.waiting:
            while not turn.left and not turn.waiting and not self.difference:
                self._take(turn)
            return
        if not self._read_any(self.limit):
            self._note(turn, turn.at, turn.session.seen + [SILENT])
            turn.left, turn.broken, turn.waiting = True, True, False

    def _read_any(self, seconds):
        """Of all that wait, whoever is answered first: any of them may hold what the others need, having been given it in the
        middle of a step. Gives whether a step was answered within that time.
        """
        until = time.monotonic() + seconds
        while not self.difference:
            waiting = [turn for turn in self.turns if turn.waiting]
            for turn in waiting:
                self._read(turn, 0)
            if any(not turn.waiting for turn in waiting):
                return True
            left = until - time.monotonic()
            if left <= 0 or not select.select([turn.session.socket for turn in waiting], [], [], left)[0]:
                return False
        return True

    def _read(self, turn, seconds):
        if not turn.session.read(seconds):
            return
        turn.waiting = False
        for message in turn.asked:
            turn.pinned = (turn.pinned or message.pins) and not message.unpins
        self._note(turn, turn.at, turn.session.seen)
        if turn.session.closed:
            turn.left = turn.broken = True

    def _read_waiting(self):
        """Those who wait for a connection, as long as there may be one."""
        for turn in self.turns:
            if turn.waiting and self._holders() < self.size and not self.difference:
                self._read(turn, PATIENCE if self._others(turn) else self.limit)

    def _leave(self, turn):
        turn.session.leave(turn.client.leave)
        turn.left = True
        self._read_waiting()

    def _see_all_end(self):
        """A server's session takes a while to end, so all of them are waited for at last, together."""
        for turn in self.turns:
            if not self.difference and turn.session and not turn.broken:
                self._note(turn, len(turn.client.steps), turn.session.end(self.limit))

    def _holders(self):
        return sum(turn.holds for turn in self.turns)

    def _others(self, turn):
        return any(not other.left and other.session for other in self.turns if other is not turn)

    def _note(self, turn, step, answers):
        normal = self.normalise[turn.number](answers)
        self.transcript[turn.number, step] = normal
        if self.expected is not None:
            self.difference = self.difference or first_difference(turn.number, step, self.expected.get((turn.number, step), []),
                                                                  normal)
