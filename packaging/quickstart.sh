#!/usr/bin/env bash
# From a fresh Debian 12 to a lodge that routes: packages, build, a throwaway PostgreSQL with five tenants, a
# demonstration. Then it stays until Ctrl-C, for you to try the URLs; with --once it ends there, with exit code 0 if
# every answer was the expected one and 1 if not. Nothing is left behind but build/.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
once=
case ${1:-} in
  '') ;;
  --once) once=1 ;;
  *) echo "usage: ${0##*/} [--once]" >&2; exit 2 ;;
esac

bin=/usr/lib/postgresql/15/bin
lodge_pid='' psql_pid=''
work=$(mktemp -d "${TMPDIR:-/tmp}/pglodge-quickstart.XXXXXX")
chmod 755 "$work"

say() { printf '\n== %s\n' "$*"; }
# PostgreSQL refuses to run as root.
as_postgres() { if [ "$(id -u)" = 0 ]; then (cd / && runuser -u postgres -- "$@"); else "$@"; fi; }
clean_up() {
  trap '' INT TERM
  [ -z "$psql_pid" ] || kill "$psql_pid" 2>/dev/null || true
  if [ -n "$lodge_pid" ]; then
    kill -INT "$lodge_pid" 2>/dev/null || true
    wait "$lodge_pid" 2>/dev/null || true
  fi
  [ ! -e "$work/pg/data/postmaster.pid" ] || as_postgres "$bin/pg_ctl" -D "$work/pg/data" -s -m immediate stop || true
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

free_port() {  # free_port [WANTED]: WANTED if nobody has it, else any
  /usr/bin/python3 - "${1:-0}" <<'PYTHON'
import socket, sys
for port in (int(sys.argv[1]), 0):
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            print(probe.getsockname()[1])
            break
    except OSError:
        pass
PYTHON
}

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
  local until=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$until" ] || return 1
    sleep 0.05
  done
}

say "packages"
"$root/packaging/dependencies.sh"

say "build (a few minutes the first time; its words go to build/quickstart.log)"
mkdir -p "$root/build"
(cd "$root" && cmake --preset release && cmake --build --preset release --target pglodge) > "$root/build/quickstart.log" 2>&1 || {
  tail -n 30 "$root/build/quickstart.log"
  echo "the build failed; all of it is in build/quickstart.log"
  exit 1
}
lodge=$root/build/release/proxy/pglodge
"$lodge" --version

say "a throwaway PostgreSQL"
pg_port=$(free_port)
mkdir "$work/pg"
[ "$(id -u)" != 0 ] || chown postgres: "$work/pg"
as_postgres "$bin/initdb" -D "$work/pg/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --no-locale -E UTF8 \
  --no-sync > /dev/null
chmod 700 "$work/pg"  # whoever may reach the socket is the superuser
as_postgres "$bin/pg_ctl" -D "$work/pg/data" -w -s -l "$work/pg/log" \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$work/pg -c fsync=off" start
admin() { as_postgres "$bin/psql" -XqAt -v ON_ERROR_STOP=1 -h "$work/pg" -p "$pg_port" -U postgres "$@"; }
admin -d postgres -c "CREATE ROLE app LOGIN PASSWORD 'app'" -c "CREATE DATABASE saas" -c "CREATE DATABASE acme" \
  -c "CREATE DATABASE globex"
for tenant in globex soylent umbrella; do
  admin -d saas -c "
    CREATE SCHEMA tenant_$tenant;
    CREATE TABLE tenant_$tenant.notes AS SELECT 'a note of $tenant' AS note;
    GRANT USAGE ON SCHEMA tenant_$tenant TO app;
    GRANT ALL ON tenant_$tenant.notes TO app"
done
admin -d saas -c "
  CREATE TABLE public.notes (tenant_id text, note text);
  INSERT INTO public.notes VALUES ('42', 'a row of initech'), ('43', 'a row of somebody else');
  ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON public.notes USING (tenant_id = current_setting('app.tenant_id', true));
  GRANT ALL ON public.notes TO app"
for tenant in acme globex; do
  admin -d "$tenant" -c "CREATE TABLE notes AS SELECT 'a note of $tenant, in its own database' AS note; GRANT ALL ON notes TO app"
done
echo "listens on 127.0.0.1:$pg_port: database saas with schemas and shared tables, databases acme and globex"

say "the lodge"
port=$(free_port 6432)
cat > "$work/pglodge.yaml" <<YAML
listen:
  - address: 127.0.0.1:$port
routes: routes.yaml
auth: { method: passthrough }
YAML
cat > "$work/routes.yaml" <<YAML
hints:
  - user: "{role}.{tenant}"
  - startup: app.tenant
servers:
  main: { hosts: ["127.0.0.1:$pg_port"] }
databases:
  shared: { server: main, dbname: saas }
  acme:   { server: main, dbname: acme }
  globex: { server: main, dbname: globex }
defaults:
  database: shared
  schema: "tenant_{tenant}"
tenants:
  globex:   {}
  soylent:  {}
  umbrella: {}
  initech:  { schema: null, search_path: [public], settings: { app.tenant_id: "42" } }
  acme:     { database: acme, schema: null }
YAML
cat "$work/routes.yaml"
echo
echo "(This is to show the routing with the least there is to write. The warning is true of it; README.md has the"
echo "configuration that pools connections and guards tenants.)"
"$lodge" check -c "$work/pglodge.yaml"
"$lodge" serve -c "$work/pglodge.yaml" 2> "$work/lodge.log" &
lodge_pid=$!
in_log() { grep -qs "$1" "$work/lodge.log"; }
wait_until 10 in_log ' serves on ' || { cat "$work/lodge.log"; exit 1; }

# One question to everybody; which notes are found is the routing's doing.
question="SELECT current_database(), current_schema(), current_setting('app.tenant_id', true), (SELECT string_agg(note, '; ') FROM notes)"
url() { echo "postgres://app.$1:app@127.0.0.1:$port/crm"; }
wrong=0
expect() {  # expect ANSWER EXPECTED
  if [ "$1" = "$2" ]; then
    echo "    $1"
  else
    echo "    $1   <-- WRONG, expected: $2"
    wrong=$((wrong + 1))
  fi
}
ask() {  # ask URL EXPECTED
  echo "psql '$1'"
  expect "$(psql -XAt "$1" -c "$question" 2>&1)" "$2"
}

say "five tenants, one question: $question"
ask "$(url globex)" 'saas|tenant_globex||a note of globex'
ask "$(url soylent)" 'saas|tenant_soylent||a note of soylent'
ask "$(url umbrella)" 'saas|tenant_umbrella||a note of umbrella'
ask "$(url initech)" 'saas|public|42|a row of initech'
ask "$(url acme)" 'acme|public||a note of acme, in its own database'
ask "postgres://app:app@127.0.0.1:$port/crm?options=-c%20app.tenant%3Dacme" 'acme|public||a note of acme, in its own database'

say "globex moves to a database of its own while a session of it runs"
mkfifo "$work/statements"
psql -XAt -v VERBOSITY=verbose "$(url globex)" < "$work/statements" > "$work/session" 2>&1 &
psql_pid=$!
exec 3> "$work/statements"
answered() { [ "$(grep -c . "$work/session")" -ge "$1" ]; }
echo "$question;" >&3
wait_until 10 answered 1 || true
echo "before, in that session:"
expect "$(head -n 1 "$work/session")" 'saas|tenant_globex||a note of globex'
sed 's/^  globex:   {}$/  globex:   { database: globex, schema: null }/' "$work/routes.yaml" > "$work/routes.new"
mv "$work/routes.new" "$work/routes.yaml"
wait_until 10 in_log 'reloaded (.*globex: ' || true
echo "routes.yaml is saved with 'globex: { database: globex, schema: null }', and the lodge logs:"
sed -n 's/^.*\(reloaded (.*globex: .*\)$/    \1/p' "$work/lodge.log"
wait_until 10 in_log '57P01' || true
echo "the session's next statement:"
echo "$question;" >&3
exec 3>&-
wait "$psql_pid" || true
psql_pid=
expect "$(sed -n '2{s/^.*FATAL/FATAL/p}' "$work/session")" 'FATAL:  57P01: tenant "globex" has moved'
echo "and who connects again arrives:"
ask "$(url globex)" 'globex|public||a note of globex, in its own database'

if ! kill -0 "$lodge_pid" 2>/dev/null; then
  echo "the lodge is gone; its log:"
  cat "$work/lodge.log"
  exit 1
fi
if [ "$wrong" -gt 0 ]; then
  say "$wrong answer(s) were wrong; the lodge's log:"
  cat "$work/lodge.log"
  exit 1
fi
if [ -n "$once" ]; then
  say "all answers were as expected"
  exit 0
fi
say "the lodge is yours until Ctrl-C"
for tenant in globex soylent umbrella initech acme; do echo "psql '$(url "$tenant")'"; done
echo "edit $work/routes.yaml and save; the log is $work/lodge.log"
wait "$lodge_pid" || true
lodge_pid=
