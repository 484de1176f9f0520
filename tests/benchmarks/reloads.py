"""100,000 tenants, one line changed: how long the check and a reload take, and whether sessions feel it."""

import subprocess
import threading
import time

import stage
import yaml
from lodge import BINARY

TENANTS = 100_000
ROUNDS = 6
ALONE = 10  # seconds that a session is watched without a reload


class Prober(threading.Thread):
    """A session that asks something all the time and notes when each answer took how long."""

    def __init__(self, lodge):
        super().__init__()
        self.session = lodge.login(stage.USER, "acme")
        self.over = False
        self.took = []

    def run(self):
        while not self.over:
            begun = time.monotonic()
            self.session.value("SELECT 1")
            self.took.append(time.monotonic() - begun)

    def stop(self):
        self.over = True
        self.join()
        self.session.close()
        return sorted(1000 * one for one in self.took)


def told(name, found):
    print(f"{name}: p50 {stage.quantile(found, 0.5):.2f} ms, p99 {stage.quantile(found, 0.99):.2f} ms, p99.9 "
          f"{stage.quantile(found, 0.999):.2f} ms, longest {found[-1]:.2f} ms of {len(found)}", flush=True)


def measure(_):
    with stage.cluster() as server:
        table = stage.routes(server)
        table["tenants"] = {f"t{i:06}": {} for i in range(TENANTS)}
        text = yaml.dump(table, Dumper=yaml.CSafeDumper, sort_keys=False)
        with stage.lodge(text) as lodge:
            begun = time.monotonic()
            subprocess.run([BINARY, "check", "-c", lodge.config], check=True, capture_output=True)
            print(f"check: {time.monotonic() - begun:.2f} s", flush=True)
            alone = Prober(lodge)
            alone.start()
            time.sleep(ALONE)
            told("no reload", alone.stop())
            beside = Prober(lodge)
            beside.start()
            took = []
            for i in range(ROUNDS):
                begun = time.monotonic()
                line = lodge.reload(text.replace("t000007: {}", f"t000007: {{ settings: {{ app.round: '{i}' }} }}"))
                took.append(time.monotonic() - begun)
                if "reloaded (" not in line:
                    raise RuntimeError(line)
            told("reloads", beside.stop())
            print(f"from saving to the log's line: {min(took):.2f} to {max(took):.2f} s")
