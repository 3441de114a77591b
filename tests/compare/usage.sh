#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: usage.sh ROOT PROGRAM. Checks that bench/compare.sh prints its help, and that it and its
# program refuse a wrong option; the script before it installs or builds anything.
set -eu
program=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/.ci" "$tree/bench"
cp "$1/.ci/packages.sh" "$tree/.ci"
cp "$1/bench/compare.sh" "$tree/bench"
. "$1/tests/support/expect.sh"

script=$tree/bench/compare.sh
expect 0 '^Usage: sh bench/compare.sh' sh "$script" --help
expect 0 '^ *--help.* prints this' sh "$script" --smoke --help
expect 2 '^no such option: --hepl$' sh "$script" --hepl
expect 2 '^no such option: much$' sh "$script" --seconds much
expect 2 '^--filter needs a value$' sh "$script" --filter
expect 2 '^no such option: --hepl$' "$program" --hepl
expect 2 '^--seconds needs a number above 0, not: 0$' "$program" --seconds 0
expect 2 '^--json needs a value$' "$program" --json
expect 2 '^--filter needs a regular expression, not: (' "$program" --filter '('
expect 2 '^no case has a name like: nothing$' "$program" --filter nothing
expect 0 '^clients/17/epoll ' "$program" --list
[ "$failures" -eq 0 ]
