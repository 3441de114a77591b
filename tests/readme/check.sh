#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: check.sh ROOT. Checks the pages (*.md) under ROOT.
#   Code: each block of C++ or CMake begins with a comment that names a file, and is a part of that
#   file, indentation aside. So whatever compiles and runs the file does it for the page.
#   Links: each relative one leads to a file.
# Prints "page:line: what is wrong" for each breach; exit status 1 if there was one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"

status=0
pages=$(find . -path './build*' -prune -o -name '*.md' -print | sed 's/^\.\///' | sort)
[ -n "$pages" ] || {
  echo "$1: no page found, so nothing was checked"
  exit 1
}
for page in $pages; do
  awk -v folder="$(dirname "$page")" -f "$here/rules.awk" "$page" || status=1
done
exit $status
