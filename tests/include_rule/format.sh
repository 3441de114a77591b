#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: format.sh ROOT. Checks that clang-format would leave each C++ file under ROOT as it is.
# Only version 14 is asked: others lay out some things otherwise.
set -eu
cd "$1"

clang_format=
for program in clang-format-14 clang-format; do
  command -v $program >/dev/null || continue
  case $($program --version) in *' version 14.'*) clang_format=$program && break ;; esac
done
if [ -z "$clang_format" ]; then
  echo "skipped: no clang-format 14 (Debian 12: clang-format)"
  exit 0
fi
# What it prints is compared, as it also reports some lines that it writes as they were: a namespace
# whose name has `inline` in it.
is_formed() { $clang_format --assume-filename="$1" <"$1" | cmp -s - "$1"; }

probe=$(mktemp --suffix=.cpp)
trap 'rm -f "$probe"' EXIT
echo 'int  a ;' >"$probe"
if is_formed "$probe"; then
  echo "$clang_format reports nothing of a line that is out of form"
  exit 1
fi
status=0
for file in $(find include src tests bench examples -name '*.[ch]pp' | sort); do
  is_formed "$file" || { echo "$file: clang-format would change it" && status=1; }
done
exit $status
