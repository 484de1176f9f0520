"""Mixed load for an hour, reloads and reconnects among it: memory and descriptors every minute."""

import itertools
import time

import stage

PIECE = 60  # seconds


def measure(options):
    with stage.cluster() as server:
        table = stage.routes(server)
        with stage.lodge(table, workers=2) as lodge:
            pid = lodge.process.pid
            until = time.monotonic() + options.minutes * 60
            lost = 0
            for minute in itertools.count(1):
                loads = [
                    stage.Load(lodge.port, 24, PIECE, "-M", "prepared", user=f"{stage.USER}.t1"),
                    stage.Load(lodge.port, 8, PIECE, "-M", "extended", "-R", 300, user=f"{stage.USER}.t2"),
                    stage.Load(lodge.port, 4, PIECE, "-C", "-R", 50, user=f"{stage.USER}.t3"),
                ]
                time.sleep(PIECE / 2)  # the middle of it, where the load is what it is for most of the time
                peak = stage.descriptors(pid)
                table["tenants"]["t8"] = {"settings": {"app.minute": str(minute)}}
                lodge.write_routes(table)
                results = [load.result() for load in loads]
                lost += sum(failed for _, _, failed in results)
                print(f"minute {minute}: RSS {stage.status(pid, 'VmRSS')} KiB, descriptors {peak} under load and {stage.descriptors(pid)} "
                      f"after it, {sum(done for _, done, _ in results)} transactions, {lost} failed so far", flush=True)
                if time.monotonic() >= until:
                    break
