#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh bench/compare.sh [options]
# Runs mews beside its peers: builds (Release), measures each case with each peer in turn, and prints
# one table a case. Installs what is missing; a peer that cannot be had is left out, and named.
#   --filter REGEX  only cases whose name matches, e.g. clients/17 or 'echo/.*/spin'
#   --seconds N     for each peer in each case (1.5)
#   --json FILE     all figures, by placement of the processors
#   --font FILE     a WOFF2 file for the case of the font, which is skipped without it
#   --smoke         a few messages a case: shows that each works, its figures mean nothing
#   --list          names the cases, and the peers that are absent
#   --help          prints this
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
script=$root/bench/compare.sh
build=$root/build/bench
log_dir=$root/build
. "$root/.ci/packages.sh"

expects=
for argument; do
  case $expects in
    --seconds) case $argument in '' | . | *[!0-9.]* | *.*.*) wrong_option "$script" "$argument" ;; esac ;;
  esac
  if [ -n "$expects" ]; then
    expects=
    continue
  fi
  case $argument in
    --help) print_usage "$script" && exit ;;
    --filter | --seconds | --json | --font) expects=$argument ;;
    --smoke | --list) ;;
    *) wrong_option "$script" "$argument" ;;
  esac
done
if [ -n "$expects" ]; then
  echo "$expects needs a value" >&2
  exit 2
fi

# The peers; the last are the decoder of the font, and what finds it.
peer_packages='libzmq3-dev libnng-dev libiceoryx-posh-dev libiceoryx-hoofs-dev iceoryx
  libmimalloc-dev libjemalloc-dev libwoff-dev'

can_be_had() {
  is_installed "$1" || LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

install_peers() {
  wanted=
  for package in $peer_packages; do
    if can_be_had "$package"; then
      wanted="$wanted $package"
    else
      echo "packages: $package cannot be had here"
    fi
  done
  need_packages $wanted && return
  # One of them stood in the way of all.
  for package in $wanted; do
    need_packages "$package" || echo "packages: goes on without $package"
  done
}

# What is printed to stdout are the tables alone.
{
  need_packages $build_packages libbenchmark-dev
  if command -v apt-cache >/dev/null; then
    [ -n "$(apt-cache pkgnames libzmq3)" ] || apt-get update || true
    install_peers
  fi
  cmake -S "$root" --preset bench
  cmake --build "$build" --target mews_compare --parallel "$(nproc)"
} >&2

exec "$build/bench/compare/mews_compare" "$@"
