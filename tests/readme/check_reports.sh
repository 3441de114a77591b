#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check.sh can fail: a page that keeps the rules passes, and each way of breaking one is
# reported with page, line and what is wrong.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0
mkdir "$tree/docs"
printf '%s\n' 'int main() {' '  first();' '' '  if (x) {' '    second();' '  }' '}' >"$tree/a.cpp"

# expect RESULT LINE...: a page of these lines gives RESULT, "" for no breach.
expect() {
  expected=$1
  shift
  printf '%s\n' "$@" >"$tree/docs/page.md"
  if out=$(sh "$check" "$tree" 2>&1); then status=0; else status=1; fi
  if [ -z "$expected" ]; then
    [ $status -eq 0 ] && [ -z "$out" ] && return
  else
    [ $status -eq 1 ] && printf '%s\n' "$out" | grep -qF -e "$expected" && return
  fi
  printf 'expected "%s", exit status %d, of:\n' "$expected" "$status"
  printf '%s\n' "$@" --- "$out"
  failures=$((failures + 1))
}

expect '' 'text, [a link](../a.cpp), [another](https://example.org/a), [below](#b), [d](../docs)' \
  '```cpp' '// a.cpp' 'first();' '' 'if (x) {' '  second();' '}' '```' '```sh' 'ls' '```'
expect 'docs/page.md:1: this code is not in "a.cpp"' '```cpp' '// a.cpp' 'third();' '```'
expect 'docs/page.md:1: this code is not in "a.cpp"' '```cpp' '// a.cpp' 'first();' 'if (x) {' '```'
expect 'docs/page.md:1: this code is not in "a.cpp"' \
  '```cpp' '// a.cpp' 'if (x) {' 'second();' '}' '```'
expect 'docs/page.md:2: code from "b.cpp", which is not there' '' '```cpp' '// b.cpp' 'b();' '```'
expect 'docs/page.md:1: a block of code must begin with a comment' '```cmake' 'project(a)' '```'
expect 'docs/page.md:1: a block of code must begin with a comment' '```cpp' '```'
expect 'docs/page.md:2: a link to "../b.cpp", which is not there' '' 'a [link](../b.cpp) here'

rm "$tree/docs/page.md"
if out=$(sh "$check" "$tree" 2>&1) || [ "$out" != "$tree: no page found, so nothing was checked" ]; then
  echo "an empty tree gives: $out"
  failures=$((failures + 1))
fi
[ "$failures" -eq 0 ]
