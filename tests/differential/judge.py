"""Says whether a scenario runs alike in two worlds, and what is different, shrunk and shown."""

from collections import Counter
from dataclasses import dataclass, replace

from compare import NAMES
from driver import Run
from scenario import Client, Message, Scenario, Step
from session import SILENT
from shrink import Shrinker
from world import TENANTS

LIMIT = 6                    # seconds that an answer may take
SHORT_LIMIT = 1.5            # while a hang is shrunk


@dataclass(frozen=True)
class Left:
    """No answer differs, but something stays behind that is not of the clients any more; or the pooler is gone."""
    what: str
    client: int = 0
    step: int = 1 << 30

    def kind(self):
        return "left behind: " + self.what.split(":")[0]

    def show(self):
        return "    " + self.what


def rebinds_unnamed(scenario, difference):
    """Whether the step goes on with an unnamed statement of an earlier transaction."""
    steps = scenario.clients[difference.client].steps
    if not 0 <= difference.step < len(steps):
        return False
    messages = [str(message) for message in steps[difference.step].messages]
    return any('of ""' in text or 'Describe statement ""' in text for text in messages)


class Judge:
    def __init__(self, postgres, direct, lenient=False):
        self.postgres, self.direct, self.lenient = postgres, direct, lenient
        self.answers = Counter()     # of the server's message types, directly

    def expected(self, scenario, known=None):
        """What each client is answered by a server of its own. `known` keeps that over several scenarios: since clients share
        nothing, only those that are new in one have to run.
        """
        known = {} if known is None else known
        new = [number for number, client in enumerate(scenario.clients) if (number, client) not in known]
        part = replace(scenario, schedule=tuple(turn for turn in scenario.schedule if turn in new))
        left = self.postgres.reset(part, tidy=True)
        if left:
            self.postgres.end_sessions()
            left = self.postgres.reset(part)
            assert not left, left
        transcript = Run(self.direct, part, LIMIT, self.lenient).go().transcript
        for place, answers in transcript.items():
            assert SILENT not in answers, f"seed {scenario.seed}: {place} hangs directly: the generator's fault\n{scenario.show()}"
            self.answers.update(NAMES[kind] for kind, _ in answers)
        for number in new:
            known[number, scenario.clients[number]] = {place: answers for place, answers in transcript.items() if place[0] == number}
        return {place: answers for number, client in enumerate(scenario.clients) if number in scenario.schedule
                for place, answers in known[number, client].items()}

    def difference(self, world, scenario, expected, limit=LIMIT):
        left = self.postgres.reset(scenario)
        assert not left, f"directly, seed {scenario.seed}: {left}"
        found = Run(world, scenario, limit, self.lenient, expected).go().difference
        if found and found.is_stale_plan() and "in time" not in found.kind() and rebinds_unnamed(scenario, found):
            self.answers["(set aside: an unnamed statement went stale)"] += 1
            return None
        if found and found.is_older_process():
            self.answers["(set aside: a process that had a temporary schema)"] += 1
            return None
        if found and found.is_late_isolation():
            self.answers["(set aside: an isolation level behind a RESET)"] += 1
            return None
        if found:
            return found
        left = world.check() or self.postgres.leftover()
        return Left(left) if left else None

    # A failure.

    def shrunk(self, world, scenario, difference, before, seconds=30):
        """Gives the report of it, as text. `before` are the scenarios that this world ran last: it may take them to fail.

        Each trial begins with server connections that nobody has used, so that no trial fails for what another left.
        """
        hangs = "in time" in difference.kind() or isinstance(difference, Left)
        history, known = [], {}

        def fails(candidate):
            if hangs:
                self.mend(world)
            self.mend(world, fresh=True)
            for earlier in history:
                Run(world, earlier, LIMIT).go()
                self.postgres.reset(earlier)
            return self.difference(world, candidate, self.expected(candidate, known), SHORT_LIMIT if hangs else LIMIT)

        again = None
        for length in sorted({0, 1, len(before)}):
            history[:] = before[len(before) - length:]
            again = fails(scenario)
            if again:
                break
        title = f"seed {scenario.seed}, {world.name}: "
        if not again:
            return (f"{title}{difference.kind()}\n  (not so again, not even after the {len(before)} scenarios before it)\n"
                    f"{self._place(scenario, difference)}\n{difference.show()}\n{scenario.show()}")
        shrinker = Shrinker(fails, seconds * 2 if hangs else seconds)
        small, found = shrinker.shrink(scenario, again)
        history_line = f"  after seeds {', '.join(str(earlier.seed) for earlier in history)} have run:\n" if history else ""
        return (f"{title}{found.kind()}   [shrunk by {shrinker.trials} trials]\n{history_line}{small.show()}\n"
                f"{self._place(small, found)}\n{found.show()}")

    @staticmethod
    def _place(scenario, difference):
        if isinstance(difference, Left):
            return "  afterwards:"
        steps = scenario.clients[difference.client].steps
        what = "the startup" if difference.step < 0 else "the leaving" if difference.step >= len(steps) else f"step {difference.step}"
        return f"  client {difference.client}, {what}, answer {difference.at}:"

    def mend(self, world, fresh=False):
        """After a failure: ends what is left of it, and starts the pooler anew if it does not serve any more. `fresh` ends all
        of its server connections, which it has noticed when it serves.
        """
        if fresh or self.postgres.leftover(0.3):
            self.postgres.end_sessions()
        if world.check() or not self._serves(world):
            world.stop()
            world.start()

    @staticmethod
    def _serves(world):
        """Each tenant gets an answer, at the second try at the latest: a pooler may yet find that a connection is gone."""
        def answered(tenant):
            asks = Scenario(0, (Client(tenant, (), (Step((Message("Query", sql="SELECT 1"),)),)),), (0, 0, 0))
            return any(kind == b"D" for answers in Run(world, asks, 1).go().transcript.values() for kind, _ in answers)
        try:
            return not world.check() and all(answered(tenant) or answered(tenant) for tenant in TENANTS)
        except OSError:
            return False
