#!/usr/bin/env bash
# Everything from packages to the verdict: dependencies, release build, unit tests, integration tests.
#
#   tests/run.sh                  all of it
#   tests/run.sh --binary PATH    the integration tests only, against this lodge
#   tests/run.sh -k EXPRESSION    those integration tests only, as pytest understands it; likewise -m
#
# The last line says how it ended, and so does the exit code. Only build/ is written to.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=
pytest=()
while [ $# -gt 0 ]; do
  case $1 in
    --binary) binary=$(realpath -e "${2:?--binary needs a path}"); shift 2 ;;
    -k | -m) pytest+=("$1" "${2:?$1 needs an expression}"); shift 2 ;;
    *) echo "usage: ${0##*/} [--binary PATH] [-k EXPRESSION] [-m EXPRESSION]" >&2; exit 2 ;;
  esac
done
cd "$root"

failed=
step() {
  echo "== $1"
  shift
  "$@" || failed=yes
}
verdict() {
  if [ -n "$failed" ]; then
    echo "tests/run.sh: $1: FAILED"
    exit 1
  fi
  echo "tests/run.sh: $1: all passed"
}

packaging/dependencies.sh
mkdir -p build
unit_tests=
if [ -z "$binary" ]; then
  echo "== build"
  cmake --preset release > build/configure.log 2>&1 || { cat build/configure.log; failed=yes; verdict "the configuration"; }
  cmake --build --preset release || { failed=yes; verdict "the build"; }
  binary=$root/build/release/proxy/pglodge
  units=$(ctest --preset release --show-only=json-v1 | /usr/bin/python3 -c 'import json, sys; print(len(json.load(sys.stdin)["tests"]))')
  [ "$units" -gt 0 ] || { failed=yes; verdict "no unit tests were found"; }
  unit_tests="$units unit test programs, "
  step "unit tests" ctest --preset release
fi

# Each file's tests stay together, with a PostgreSQL for each process.
parallel=$(nproc)
[ "$parallel" -le 4 ] || parallel=4
report=$(mktemp "${TMPDIR:-/tmp}/pglodge-report.XXXXXX")
trap 'rm -f "$report"' EXIT
step "integration tests" env PYTHONDONTWRITEBYTECODE=1 PGLODGE_BINARY="$binary" \
  /usr/bin/python3 -m pytest -q -n "$parallel" --dist loadfile --max-worker-restart=0 --junitxml="$report" "${pytest[@]}" \
  "$root/tests/integration"
counts=$(/usr/bin/python3 - "$report" <<'PYTHON'
import sys
import xml.etree.ElementTree as tree
try:
    suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
    skipped = int(suite.get("skipped"))
    print(int(suite.get("tests")) - skipped, "integration tests" + (f" ({skipped} skipped)" if skipped else ""))
except Exception:
    print("no integration tests")
PYTHON
)
verdict "$unit_tests$counts"
