#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh bench/run.sh [Google Benchmark options], e.g. --benchmark_filter=lane
#        sh bench/run.sh --figures [seconds]
# Builds (Release) and runs every benchmark; --figures prints the table of the figures that mews is
# to reach, each against its yardstick, and fails where one is not. Installs what is missing.
# --help prints this.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/bench
log_dir=$root/build
. "$root/.ci/packages.sh"

case ${1:-} in
  --help) print_usage "$root/bench/run.sh" && exit ;;
  --figures)
    case ${2:-1} in *[!0-9.]*) wrong_option "$root/bench/run.sh" "$2" ;; esac
    [ $# -le 2 ] || wrong_option "$root/bench/run.sh" "$3"
    ;;
  *)
    for argument; do
      case $argument in --benchmark_* | --v=*) ;; *) wrong_option "$root/bench/run.sh" "$argument" ;; esac
    done
    ;;
esac

# What is printed to stdout is the benchmarks' alone, so that --benchmark_format=json can be piped.
{
  need_packages $build_packages libbenchmark-dev
  cmake -S "$root" --preset bench
  cmake --build "$build" --target mews_bench --parallel "$(nproc)"
} >&2

if [ "${1:-}" = --figures ]; then
  shift
  exec "$build/bench/figures_bench" "$@"
fi

status=0
found=
for source in "$root"/bench/*_bench.cpp; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .cpp)
  [ "$name" != figures_bench ] || continue
  found=yes
  echo "== $name" >&2
  "$build/bench/$name" "$@" || {
    echo "$name ended with $?" >&2
    status=1
  }
done
[ -n "$found" ] || { echo "bench: no *_bench.cpp found" >&2; status=1; }
exit $status
