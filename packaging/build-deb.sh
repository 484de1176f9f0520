#!/usr/bin/env bash
# Builds the Debian package into build/packages/, from the work tree as git sees it.
#
#   packaging/build-deb.sh                  compiles, by the preset `release`; ccache helps if it is there
#   packaging/build-deb.sh --from FOLDER    packages what was compiled there, such as build/release
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
from=
case ${1:-} in
  '') ;;
  --from) from=$(realpath -e "${2:?--from needs a folder}") ;;
  *) echo "usage: ${0##*/} [--from FOLDER]" >&2; exit 2 ;;
esac

work=$(mktemp -d "${TMPDIR:-/tmp}/pglodge-deb.XXXXXX")
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^project(pglodge VERSION \([0-9.]*\) .*/\1/p' "$root/CMakeLists.txt")
packaged=$(dpkg-parsechangelog -l "$root/packaging/debian/changelog" -S Version)
[ "$version" = "$packaged" ] || { echo "build-deb: CMakeLists.txt says $version, the changelog $packaged" >&2; exit 1; }

tree=$work/pglodge-$version
mkdir -p "$tree" "$root/build/packages"
# What is deleted and not yet committed is listed, too.
git -C "$root" ls-files -coz --exclude-standard --deduplicate |
  while IFS= read -r -d '' file; do [ ! -e "$root/$file" ] || printf '%s\0' "$file"; done |
  tar -C "$root" --null --files-from=- -cf - | tar -C "$tree" -xf -
cp -r "$tree/packaging/debian" "$tree/debian"

options=(-b -us -uc)
if [ -n "$from" ]; then
  # The dependencies of a compilation are not needed where none is made.
  options+=(-d)
  export PGLODGE_BUILT=$from
else
  # debhelper gives builds a home of their own; the cache stays where it is.
  CCACHE_DIR=${CCACHE_DIR:-$(ccache --get-config cache_dir 2>/dev/null || echo "$work/ccache")}
  export CCACHE_DIR CCACHE_BASEDIR=$tree CCACHE_NOHASHDIR=1
fi
(cd "$tree" && dpkg-buildpackage "${options[@]}")
rm -f "$root"/build/packages/pglodge*
cp "$work"/*.deb "$work"/*.changes "$work"/*.buildinfo "$root/build/packages/"
ls -l "$root/build/packages"
