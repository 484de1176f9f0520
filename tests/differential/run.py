#!/usr/bin/python3
"""The differential test of transaction pooling: what clients see through the lodge is what they see without it.

    run.py --seeds 1000                     pools of 1 and of 3, one report for each kind of difference
    run.py --seed 4711                      one scenario, shown
    run.py --against spoilt                 the same while somebody makes dressing fail as often as he can
    run.py --against direct --seeds 3000    the test of this test: the server against itself, which must find nothing
    run.py --against pgbouncer              Debian's PgBouncer, to see what a difference looks like
    run.py --postgres-port 5599 --against 127.0.0.1:6432    another pooler, which knows the tenants by database name
    run.py --self-test                      the comparison and the shrinker, without any server

The lodge is the release build's, or PGLODGE_BINARY. Ends with 1 on any difference. See README.md.
"""

import argparse
import atexit
import contextlib
import multiprocessing
import queue
import signal
import sys
import time
import traceback
from collections import Counter, deque

sys.dont_write_bytecode = True

from generate import CLASSES, UNCOUNTED, generate  # noqa: E402
from judge import Judge  # noqa: E402
from world import TENANTS, Direct, Postgres, ThroughLodge, ThroughPgbouncer, ThroughPooler, ThroughSpoiltLodge  # noqa: E402

THROUGH = {"lodge": ThroughLodge, "spoilt": ThroughSpoiltLodge, "pgbouncer": ThroughPgbouncer}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (1000)")
    parser.add_argument("--start", type=int, default=1, help="the first one (1)")
    parser.add_argument("--seed", type=int, help="only this one, and show it")
    parser.add_argument("--pool", default="1,3", help="sizes of the pool (1,3)")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with a PostgreSQL of its own (2)")
    parser.add_argument("--against", default="lodge", help="lodge | spoilt | direct | pgbouncer | HOST:PORT")
    parser.add_argument("--postgres-port", type=int, help="the PostgreSQL's port, for a pooler that was set up for it; one job")
    parser.add_argument("--without", default="", help=f"classes to leave out, of: {', '.join(CLASSES)}")
    parser.add_argument("--tenants", default=",".join(TENANTS), help=f"whose clients come ({','.join(TENANTS)})")
    parser.add_argument("--lenient", action="store_true", help="errors' file, line and routine may differ")
    parser.add_argument("--reports", type=int, default=10, help="how many kinds of difference to shrink and show (10)")
    parser.add_argument("--shrink", type=int, default=30, help="seconds for shrinking one (30)")
    parser.add_argument("--at-most", type=int, default=0, help="so many seeds may differ: what is known and not mended yet (0)")
    parser.add_argument("--self-test", action="store_true")
    parsed = parser.parse_args()
    parsed.without = tuple(filter(None, parsed.without.split(",")))
    parsed.tenants = tuple(parsed.tenants.split(","))
    unknown = set(parsed.without) - set(CLASSES)
    if unknown:
        parser.error(f"no such class: {', '.join(sorted(unknown))}; there are {', '.join(CLASSES)}")
    if parsed.seed is not None:
        parsed.start, parsed.seeds = parsed.seed, 1
    if parsed.seed is not None or parsed.postgres_port:
        parsed.jobs = 1
    return parsed


def worlds(options, postgres):
    """Started, to be compared with the direct one."""
    made = []
    try:
        for size in [int(size) for size in options.pool.split(",")]:
            if options.against == "direct":
                return [Direct(postgres, "direct once more")]
            if options.against in THROUGH:
                world = THROUGH[options.against](postgres, size)
                made.append(world)
                world.start()
            else:
                host, port = options.against.rsplit(":", 1)
                return [ThroughPooler((host, int(port)), size)]
    except BaseException:
        for world in made:
            world.stop()
        raise
    return made


def work(options, job, results):
    """One process: its own PostgreSQL and poolers, every so manieth seed."""
    postgres, opened = None, []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))        # by way of `finally`, so that no server outlives this
    try:
        postgres = Postgres(options.postgres_port)
        postgres.start()
        opened = worlds(options, postgres)
        judge = Judge(postgres, Direct(postgres), options.lenient)
        results.put(("started", job))
        for seed in range(options.start + job, options.start + options.seeds, options.jobs):
            one_seed(options, judge, opened, seed, results)
        results.put(("answers", judge.answers))
    except (KeyboardInterrupt, SystemExit):
        pass
    except BaseException:
        results.put(("broken", traceback.format_exc()))
    finally:
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_IGN)         # once is enough
        with contextlib.ExitStack() as last:
            last.callback(results.put, ("done", job))
            if postgres:
                last.callback(postgres.stop)
            for world in opened:
                last.callback(world.stop)


def one_seed(options, judge, opened, seed, results):
    scenario = generate(seed, options.without, options.tenants)
    expected = judge.expected(scenario)
    if options.seed is not None:
        print(scenario.show())
    for world in opened:
        difference = judge.difference(world, scenario, expected)
        if difference:
            classes = step_classes(scenario, difference)
            report = None
            if options.seed is not None or REPORTED.get(difference.kind(), 0) == 0 and len(REPORTED) < options.reports:
                report = judge.shrunk(world, scenario, difference, list(BEFORE), options.shrink)
            REPORTED[difference.kind()] += 1
            results.put(("difference", (seed, world.name, difference.kind(), classes, report)))
            judge.mend(world)
    BEFORE.append(scenario)
    results.put(("seed", Counter(message.cls for client in scenario.clients for step in client.steps for message in step.messages
                                 if message.cls and message.kind != "Sync")))


# Of this process: kinds of difference, and the scenarios that ran last.
REPORTED = Counter()
BEFORE = deque(maxlen=4)


def step_classes(scenario, difference):
    steps = scenario.clients[difference.client].steps
    if not 0 <= difference.step < len(steps):
        return ("startup",) if difference.step < 0 else ("leaving",)
    return tuple(sorted({message.cls for message in steps[difference.step].messages if message.cls}))


class Tally:
    """What the processes report, and the summary of it."""

    def __init__(self, options):
        self.options = options
        self.seeds, self.classes, self.answers = 0, Counter(), Counter()
        self.kinds, self.by_class, self.failed, self.broken = Counter(), Counter(), set(), False
        self.shown, self.seeds_of = Counter(), {}
        self.began = None

    def take(self, what, value):
        if what == "started":
            self.began = self.began or time.monotonic()
        elif what == "seed":
            self.seeds += 1
            self.classes.update(value)
            if self.seeds % 500 == 0:
                print(f"  {self.seeds} seeds, {len(self.failed)} with differences, {self.seeds_per_minute():.0f} a minute", flush=True)
        elif what == "answers":
            self.answers.update(value)
        elif what == "difference":
            seed, world, kind, classes, report = value
            self.failed.add(seed)
            self.kinds[kind] += 1
            self.seeds_of.setdefault(kind, []).append(seed)
            self.by_class.update(classes)
            if report and not self.shown[kind]:
                self.shown[kind] += 1
                print(f"\n--- {report}\n", flush=True)
        elif what == "broken":
            self.broken = True
            print(value, file=sys.stderr, flush=True)

    def seeds_per_minute(self):
        return self.seeds * 60 / max(0.001, time.monotonic() - (self.began or time.monotonic()))

    def show(self):
        print(f"\n{self.seeds} scenarios against {self.options.against}, {self.seeds_per_minute():.0f} a minute; "
              f"messages by class of statement:")
        counts = [f"{name} {self.classes[name]}" for name in CLASSES if self.classes[name]]
        for at in range(0, len(counts), 8):
            print("  " + ", ".join(counts[at:at + 8]))
        idle = [name for name in CLASSES if not self.classes[name] and name not in (*self.options.without, *UNCOUNTED)]
        print(f"  never: {', '.join(idle) or '(none)'}")
        print("answers: " + ", ".join(f"{name} {count}" for name, count in self.answers.most_common()))
        if self.kinds:
            print(f"{len(self.failed)} seeds with differences")
            for kind, count in self.kinds.most_common():
                print(f"  {count:6} {kind}   [{', '.join(map(str, self.seeds_of[kind][:5]))}]")
            print("  by class of the step: " + ", ".join(f"{name} {count}" for name, count in self.by_class.most_common()))
        else:
            print("no difference")


def main():
    options = arguments()
    if options.self_test:
        import self_test
        return self_test.run()
    results, tally = multiprocessing.Queue(), Tally(options)
    jobs = [multiprocessing.Process(target=work, args=(options, job, results)) for job in range(min(options.jobs, options.seeds))]
    for job in jobs:
        job.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    atexit.register(lambda: [job.terminate() for job in jobs if job.is_alive()])
    running = len(jobs)
    try:
        while running:
            try:
                what, value = results.get(timeout=1)
            except queue.Empty:
                if not any(job.is_alive() for job in jobs):
                    tally.broken = True
                    break
                continue
            if what == "done":
                running -= 1
            tally.take(what, value)
    except KeyboardInterrupt:
        tally.broken = True
        for job in jobs:
            job.terminate()
    for job in jobs:
        job.join(timeout=60)
    tally.show()
    return 1 if tally.broken or len(tally.failed) > options.at_most else 0


if __name__ == "__main__":
    sys.exit(main())
