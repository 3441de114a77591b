#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: usage.sh ROOT. Checks that each run script under ROOT prints its help, and refuses an option
# that it does not know, before it installs or builds anything: here it has nothing to build.
set -eu
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
. "$1/tests/support/expect.sh"

mkdir "$tree/.ci"
cp "$1/.ci/packages.sh" "$tree/.ci"
for script in tests/run.sh examples/run.sh bench/run.sh; do
  mkdir "$tree/${script%/*}"
  cp "$1/$script" "$tree/$script"
  expect 0 "^Usage: sh $script" sh "$tree/$script" --help
  expect 0 "^ *--help.* prints this" sh "$tree/$script" --help
  expect 2 '^no such option: --hepl$' sh "$tree/$script" --hepl
done
expect 0 '^Usage: ' sh "$tree/examples/run.sh" --json --help
expect 2 '^no such option: --hepl$' sh "$tree/examples/run.sh" --json --hepl
expect 2 '^no such option: much$' sh "$tree/bench/run.sh" --figures much
[ "$failures" -eq 0 ]
