#!/usr/bin/env python3
"""Measures what the issues of this project name and no test may assert; README.md says what and how to read it.

    run.py [NAME...]        all but the soak, or those named
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import bulk  # noqa: E402
import connects  # noqa: E402
import idle  # noqa: E402
import logins  # noqa: E402
import rates  # noqa: E402
import reloads  # noqa: E402
import sessions  # noqa: E402
import soak  # noqa: E402
import tenants  # noqa: E402

MEASUREMENTS = {"bulk": bulk, "connects": connects, "idle": idle, "logins": logins, "rates": rates, "reloads": reloads, "sessions": sessions,
                "tenants": tenants, "soak": soak}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    parser.add_argument("--minutes", type=float, default=60, help="how long the soak takes")
    options = parser.parse_args()
    unknown = set(options.names) - set(MEASUREMENTS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    for name in options.names or [name for name in MEASUREMENTS if name != "soak"]:
        print(f"== {name}: {MEASUREMENTS[name].__doc__.splitlines()[0]}", flush=True)
        MEASUREMENTS[name].measure(options)


if __name__ == "__main__":
    main()
