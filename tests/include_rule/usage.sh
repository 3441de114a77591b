#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: usage.sh ROOT. Checks that each run script under ROOT prints its help, and refuses an option
# that it does not know, before it installs or builds anything: here it has nothing to build.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# expect STATUS PATTERN SCRIPT OPTION...: exit status, and a line of what is printed.
expect() {
  status=$1
  pattern=$2
  shift 2
  got=0
  out=$(cd / && sh "$tree/$1" ${2:+"$2"} ${3:+"$3"} 2>&1 </dev/null) || got=$?
  [ $got -eq "$status" ] && printf '%s\n' "$out" | grep -q "$pattern" && [ ! -e "$tree/build" ] && return
  printf '"%s" ended with %d, not %d, or does not say "%s":\n%s\n' "$*" $got "$status" "$pattern" "$out"
  failures=$((failures + 1))
}

mkdir "$tree/.ci"
cp "$1/.ci/packages.sh" "$tree/.ci"
for script in tests/run.sh examples/run.sh bench/run.sh; do
  mkdir "$tree/${script%/*}"
  cp "$1/$script" "$tree/$script"
  expect 0 "^Usage: sh $script" $script --help
  expect 0 "^ *--help.* prints this" $script --help
  expect 2 '^no such option: --hepl$' $script --hepl
done
expect 0 '^Usage: ' examples/run.sh --json --help
expect 2 '^no such option: --hepl$' examples/run.sh --json --hepl
expect 2 '^no such option: much$' bench/run.sh --figures much
[ "$failures" -eq 0 ]
