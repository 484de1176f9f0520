#!/usr/bin/env bash
# Installs what the build and the tests need on Debian 12; --all adds what only .ci/run needs, and those programs without
# which the tests skip something: Java's and Node's drivers, promtool, check_postgres, libfaketime; 420 MB that nobody needs who wants
# to build a lodge.
# Quick when all is there.
set -euo pipefail

packages=(
  g++-12 cmake ninja-build ccache libboost1.81-dev libyaml-cpp-dev libspdlog-dev catch2 libcli11-dev
  libpq-dev libssl-dev libidn-dev libpg-query-dev libprotobuf-c-dev prometheus-cpp-dev
  libsystemd-dev liburing-dev
  postgresql-15 postgresql-client-15
  python3-pytest python3-pytest-xdist python3-pytest-timeout
  python3-psycopg2 python3-psycopg python3-asyncpg python3-jsonschema python3-yaml
  openssl python3-cryptography git ca-certificates
)
all=
case ${1:-} in
  '') ;;
  --all)
    all=yes
    packages+=(clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev shellcheck)
    packages+=(libpostgresql-jdbc-java openjdk-17-jdk-headless)
    packages+=(libfaketime)  # for a wall clock that is set while a lodge runs
    packages+=(prometheus check-postgres)  # for promtool, and what watches PgBouncer and so the console
    packages+=(debhelper dpkg-dev fakeroot lintian man-db mandoc rpm systemd)  # what is packaged, and what judges it
    # Debian's node-postgres wants Debian's Node. Beside another one it comes from npm, which such a one brings along.
    command -v npm >/dev/null || packages+=(nodejs node-pg)
    ;;
  *) echo "usage: ${0##*/} [--all]" >&2; exit 2 ;;
esac

sudo=()
become_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || { echo "dependencies: become root, or install sudo" >&2; exit 1; }
  sudo=(sudo)
}

add_node_postgres() {
  [ -n "$all" ] && command -v npm >/dev/null || return 0
  local folders
  folders=/usr/share/nodejs:$(npm root --global)
  NODE_PATH=$folders node -e "require('pg')" 2>/dev/null && return 0
  echo "dependencies: installing node-postgres"
  become_root
  "${sudo[@]}" npm install --global --ignore-scripts --no-fund --no-audit --silent pg@8.23.1 ||
    echo "dependencies: node-postgres could not be had; its tests will be skipped" >&2
}

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  add_node_postgres
  echo "dependencies: all there"
  exit 0
fi

echo "dependencies: installing ${missing[*]}"
become_root
# The tests start PostgreSQL servers of their own; the package's default one would only be in the way.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${sudo[@]}" mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
  -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
add_node_postgres
