#!/usr/bin/env bash
# Installs what the build and the tests need on Debian 12; --all adds what only .ci/run needs. Quick when all is there.
set -euo pipefail

packages=(
  g++-12 cmake ninja-build ccache libboost1.81-dev libyaml-cpp-dev libspdlog-dev catch2 libcli11-dev
  libpq-dev libssl-dev libidn-dev
  postgresql-15 postgresql-client-15
  python3-pytest python3-psycopg2 python3-psycopg python3-asyncpg python3-jsonschema python3-yaml
  openssl python3-cryptography git ca-certificates
)
case ${1:-} in
  '') ;;
  --all) packages+=(clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev shellcheck) ;;
  *) echo "usage: ${0##*/} [--all]" >&2; exit 2 ;;
esac

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "dependencies: all there"
  exit 0
fi

echo "dependencies: installing ${missing[*]}"
sudo=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "dependencies: become root, or install sudo" >&2; exit 1; }
  sudo=(sudo)
fi
# The tests start PostgreSQL servers of their own; the package's default one would only be in the way.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  "${sudo[@]}" mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
fi
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
  -o Dpkg::Options::=--force-confold "${missing[@]}" >/dev/null
