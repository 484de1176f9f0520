#!/usr/bin/env bash
# PostgreSQL's own regression, isolation and libpq_pipeline tests, once directly and once through a lodge.
#
# Both runs use one PostgreSQL built from Debian's source package, so that what differs is the lodge alone. Exit code
# 0: through the lodge nothing fails that does not fail directly. Source and build are kept in build/postgres-15.
#
#   run.sh --through build/release/proxy/pglodge     direct, then through this lodge, then compared
#   run.sh --through PATH --pool 4                   the same by transaction pooling over so many server connections; the
#                                                    isolation tests look for process ids of their own and are left out
#   run.sh --through PATH --tls                      with TLS between all of them, directly, too; may go with --pool
#   run.sh --direct                                  the direct run only
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=$root/build/postgres-15
usage() {
  echo "usage: ${0##*/} --through PATH [--pool N] [--tls] | --direct" >&2
  exit 2
}
lodge=
direct_only=
pool=
tls=
while [ $# -gt 0 ]; do
  case $1 in
    --through) lodge=$(realpath "${2:?--through needs the path of a lodge}"); shift 2 ;;
    --pool) pool=${2:?--pool needs a number}; shift 2 ;;
    --tls) tls=1; shift ;;
    --direct) direct_only=1; shift ;;
    *) usage ;;
  esac
done
[ -n "$lodge$direct_only" ] || usage

work=$(mktemp -d "${TMPDIR:-/tmp}/postgres-suites.XXXXXX")
chmod 755 "$work"
lodge_pid=
# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi; }
clean_up() {
  [ -z "$lodge_pid" ] || kill "$lodge_pid" 2>/dev/null || true
  [ ! -d "$work/data" ] || as_postgres "$cache/install/bin/pg_ctl" -D "$work/data" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

fetch_source() {
  [ -d "$cache/source" ] && return
  echo "== fetching the source of postgresql-15"
  local apt=$work/apt
  mkdir -p "$apt/lists/partial" "$apt/cache" "$cache"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main" \
    > "$apt/sources.list"
  local options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$cache" && apt-get "${options[@]}" source --download-only postgresql-15)
  mkdir "$cache/source.part"
  tar -xf "$cache"/postgresql-15_*.orig.tar.* -C "$cache/source.part" --strip-components=1
  mv "$cache/source.part" "$cache/source"
}

build() {
  [ -e "$cache/built-with-ssl" ] && return
  echo "== building it (a few minutes, once)"
  rm -rf "$cache/build" "$cache/install"  # of other options, perhaps
  mkdir -p "$cache/build"
  # A shell whose result is looked at does not stop at a failure by itself.
  (
    cd "$cache/build" &&
      ../source/configure -q --prefix="$cache/install" --without-readline --without-zlib --with-ssl=openssl &&
      make -s -j"$(nproc)" &&
      make -s install &&
      make -s -C contrib/spi install &&
      make -s -j"$(nproc)" -C src/test/regress &&
      make -s -j"$(nproc)" -C src/test/isolation &&
      make -s -C src/test/modules/libpq_pipeline
  ) > "$cache/build.log" 2>&1 || { tail -30 "$cache/build.log"; exit 1; }
  touch "$cache/built-with-ssl"
}

free_port() { /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start_postgres() {
  port=$(free_port)
  install -d "$work/data" "$work/results"
  [ "$(id -u)" != 0 ] || chown postgres: "$work/data" "$work/results"
  as_postgres "$cache/install/bin/initdb" -D "$work/data" -U postgres -A trust --no-locale -E UTF8 --no-sync >/dev/null
  if [ -n "$tls" ]; then
    (
      cd "$work/data" &&
        as_postgres openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout server.key -out server.crt
    ) 2> "$work/openssl.log" || { cat "$work/openssl.log" >&2; exit 1; }
    echo "ssl = on" | as_postgres tee -a "$work/data/postgresql.conf" > /dev/null
    export PGSSLMODE=require
  fi
  as_postgres "$cache/install/bin/pg_ctl" -D "$work/data" -w -s -l "$work/results/postgres.log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start
}

start_lodge() {
  lodge_port=$(free_port)
  local sharing="mode: session"
  local over=
  [ -z "$pool" ] || sharing="size: $pool"
  [ -z "$tls" ] || over=", tls: { mode: require, certificate: data/server.crt, key: data/server.key }"
  cat > "$work/pglodge.yaml" <<YAML
listen:
  - { address: "127.0.0.1:$lodge_port"$over }
routes: routes.yaml
auth: { method: trust }
log: { level: warn }
YAML
  cat > "$work/routes.yaml" <<YAML
hints: [{ startup: app.tenant }]
servers: { main: { hosts: ["127.0.0.1:$port"] } }
databases: { any: { server: main, pool: { $sharing } } }
no_tenant: { action: route, route: { database: any, limits: { wait: 10m } } }
YAML
  "$lodge" serve -c "$work/pglodge.yaml" &
  lodge_pid=$!
  for _ in $(seq 100); do
    "$cache/install/bin/pg_isready" -q -h 127.0.0.1 -p "$lodge_port" && return
    kill -0 "$lodge_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "the lodge does not listen" >&2
  exit 1
}

# suites NAME PORT: runs everything against that port; the names of failed tests go to $work/NAME.failed.
suites() {
  local name=$1 port=$2 out=$work/results/$1 build=$cache/build/src/test source=$cache/source/src/test
  as_postgres mkdir -p "$out/regress" "$out/isolation"
  cd "$out"
  echo "== $name: regression"
  as_postgres "$build/regress/pg_regress" --bindir="$cache/install/bin" --host=127.0.0.1 --port="$port" \
    --user=postgres --inputdir="$source/regress" --outputdir="$out/regress" --dlpath="$build/regress" \
    --max-concurrent-tests=20 --schedule="$source/regress/parallel_schedule" > "$work/$name.regress" 2>&1 || true
  tail -n 4 "$work/$name.regress" | sed '/^$/d'
  if [ -n "$pool" ]; then
    : > "$work/$name.isolation"
  else
    echo "== $name: isolation"
    # It finds the isolationtester beside the place it is started from, and speaks to the database as a client.
    (
      cd "$build/isolation"
      as_postgres ./pg_isolation_regress --bindir="$cache/install/bin" --host=127.0.0.1 --port="$port" \
        --user=postgres --inputdir="$source/isolation" --outputdir="$out/isolation" --dbname=isolation_regression \
        --schedule="$source/isolation/isolation_schedule"
    ) > "$work/$name.isolation" 2>&1 || true
    tail -n 4 "$work/$name.isolation" | sed '/^$/d'
  fi
  echo "== $name: libpq_pipeline"
  "$cache/install/bin/createdb" -h 127.0.0.1 -p "$port" -U postgres "pipeline_$name"
  pipeline "$port" "pipeline_$name" "$source/modules/libpq_pipeline/traces" > "$work/$name.pipeline" 2>&1 || true
  tail -n 1 "$work/$name.pipeline"

  if ! grep -q 'tests passed\|tests failed' "$work/$name.regress" ||
     { [ -z "$pool" ] && ! grep -q 'tests passed\|tests failed' "$work/$name.isolation"; }; then
    echo "a suite did not finish:" >&2
    tail -n 20 "$work/$name.regress" "$work/$name.isolation" >&2
    exit 1
  fi
  sed -nE 's/^(test)? *([^ ]+) +\.\.\. FAILED.*/\2/p' "$work/$name.regress" "$work/$name.isolation" > "$work/$name.failed"
  sed -nE 's/^FAILED (.*)/libpq_pipeline:\1/p' "$work/$name.pipeline" >> "$work/$name.failed"
}

# pipeline PORT DATABASE TRACES, as the suite's own Perl driver does it: every test must exit with 0, and those with a
# trace must match it. The database must be fresh: the traces have the notices of tables that are not there.
pipeline() {
  local port=$1 database=$2 traces=$3 program=$cache/build/src/test/modules/libpq_pipeline/libpq_pipeline
  local conninfo="host=127.0.0.1 port=$port user=postgres dbname=$database" tests=0 failed=0 test trace
  export LD_LIBRARY_PATH=$cache/install/lib
  for test in $("$program" tests); do
    tests=$((tests + 1))
    trace=()
    [ ! -e "$traces/$test.trace" ] || trace=(-t "$work/trace")
    if ! timeout 120 "$program" "${trace[@]}" -r 700 "$test" "$conninfo" >/dev/null ||
       { [ -n "${trace[*]}" ] && ! diff "$traces/$test.trace" "$work/trace"; }; then
      echo "FAILED $test"
      failed=$((failed + 1))
    fi
  done
  echo "$((tests - failed)) of $tests tests passed"
}

fetch_source
build
start_postgres
suites direct "$port"
if [ -n "$direct_only" ]; then
  echo "direct: $(wc -l < "$work/direct.failed") failed: $(tr '\n' ' ' < "$work/direct.failed")"
  exit 0
fi
start_lodge
suites lodge "$lodge_port"
if ! kill -0 "$lodge_pid" 2>/dev/null; then
  echo "the lodge did not live through it" >&2
  exit 1
fi
more=$(grep -vxFf "$work/direct.failed" "$work/lodge.failed" || true)
rm -rf "$cache/results"
cp -r "$work/results" "$cache/results"
echo "directly $(wc -l < "$work/direct.failed") failed, through the lodge $(wc -l < "$work/lodge.failed")"
if [ -n "$more" ]; then
  echo "failed through the lodge only (differences in build/postgres-15/results/lodge):" "${more//$'\n'/ }"
  exit 1
fi
echo "through the lodge everything passes that passes directly"
