"""Makes a failing scenario small: clients, steps, messages, startup parameters and parts of statements are taken away for as
long as a difference of the same kind remains. Time-bounded; what is left when the time is over is shown as it is.
"""

import time
from dataclasses import replace


class Shrinker:
    """`fails(scenario)` gives a Difference or None; one of another kind than the first is not the same failure."""

    def __init__(self, fails, seconds=30):
        self.fails, self.seconds = fails, seconds
        self.trials = 0

    def shrink(self, scenario, difference):
        """Gives the smallest scenario found and its difference."""
        self.until = time.monotonic() + self.seconds
        self.best, self.difference = scenario, difference
        self._try(self._without_what_follows())
        while True:
            before = self.best
            for pass_ in (self._clients, self._steps, self._messages, self._startup, self._parts, self._turns):
                pass_()
            if self.best == before or self._late():
                return self.best, self.difference

    def _late(self):
        return time.monotonic() > self.until

    def _try(self, candidate):
        """Takes the candidate if it fails likewise."""
        if candidate is None or candidate == self.best or self._late():
            return False
        self.trials += 1
        found = self.fails(candidate)
        if found is None or found.kind() != self.difference.kind():
            return False
        self.best, self.difference = candidate, found
        return True

    def _without_what_follows(self):
        """Nobody needs what comes after the step that differs; others may, since a failure may depend on where they are."""
        number, step = self.difference.client, self.difference.step
        made = self.best
        for at in reversed(range(len(made.clients[number].steps))):
            if at > step:
                made = without_steps(made, number, at, at + 1)
        return made

    def _clients(self):
        for number in range(len(self.best.clients)):
            if number in self.best.schedule:
                self._try(without_client(self.best, number))

    def _steps(self):
        for number, client in enumerate(self.best.clients):
            self._cut_away(len(client.steps), lambda begin, end, number=number: without_steps(self.best, number, begin, end))

    def _messages(self):
        for number in range(len(self.best.clients)):
            for at in range(len(self.best.clients[number].steps)):
                self._cut_away(len(self.best.clients[number].steps[at].messages),
                               lambda begin, end, number=number, at=at: without_messages(self.best, number, at, begin, end))
                step = self.best.clients[number].steps[at]
                self._try(with_step(self.best, number, at, replace(step, split=0)))

    def _startup(self):
        for number in range(len(self.best.clients)):
            client = self.best.clients[number]
            for pair in client.startup:
                client = self.best.clients[number]
                self._try(self.best.with_client(number, replace(client, startup=tuple(p for p in client.startup if p != pair))))
            self._try(self.best.with_client(number, replace(self.best.clients[number], leave="terminate")))

    def _parts(self):
        """Of several statements in one Query, and rows of COPY data."""
        for number in range(len(self.best.clients)):
            for at in range(len(self.best.clients[number].steps)):
                for which in range(len(self.best.clients[number].steps[at].messages)):
                    parts = self.best.clients[number].steps[at].messages[which].sql.split(";")
                    for part in reversed(range(len(parts))):
                        step = self.best.clients[number].steps[at]
                        shorter = parts[:part] + parts[part + 1:]
                        if len(parts) < 2 or not any(one.strip() for one in shorter):
                            continue
                        message = replace(step.messages[which], sql=";".join(shorter))
                        if self._try(with_step(self.best, number, at, replace(
                                step, messages=step.messages[:which] + (message,) + step.messages[which + 1:]))):
                            parts = shorter

    def _turns(self):
        """One client after the other reads best, if it fails so."""
        orders = [tuple(sorted(self.best.schedule, key=key)) for key in (
            lambda number: number, lambda number: -number, lambda number: number == self.difference.client)]
        if self.best.schedule not in orders:
            any(self._try(replace(self.best, schedule=order)) for order in orders)

    def _cut_away(self, count, cut):
        """Delta debugging: halves first, then ever smaller pieces, from the end."""
        size = count
        while size >= 1:
            end = count
            while end > 0:
                begin = max(0, end - size)
                if self._try(cut(begin, end)):
                    count -= end - begin
                end = begin
            size = size // 2


def without_client(scenario, number):
    schedule = tuple(turn for turn in scenario.schedule if turn != number)
    made = scenario.with_client(number, replace(scenario.clients[number], steps=(), startup=()))
    return replace(made, schedule=schedule) if schedule else None


def without_steps(scenario, number, begin, end):
    """Their turns go, too, so that the others keep their places."""
    steps = scenario.clients[number].steps
    turns, seen = [], 0
    for turn in scenario.schedule:
        if turn == number:
            seen += 1
            if begin + 2 <= seen < end + 2:          # the first turn is to connect
                continue
        turns.append(turn)
    made = scenario.with_client(number, replace(scenario.clients[number], steps=steps[:begin] + steps[end:]))
    return replace(made, schedule=tuple(turns))


def without_messages(scenario, number, at, begin, end):
    step = scenario.clients[number].steps[at]
    step = replace(step, messages=step.messages[:begin] + step.messages[end:], split=0)
    return with_step(scenario, number, at, step) if step.whole() else None


def with_step(scenario, number, at, step):
    steps = scenario.clients[number].steps
    return scenario.with_client(number, replace(scenario.clients[number], steps=steps[:at] + (step,) + steps[at + 1:]))
