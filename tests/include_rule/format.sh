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
if printf 'int  a ;\n' |
  $clang_format --dry-run -Werror --assume-filename=src/a.cpp 2>/dev/null; then
  echo "$clang_format reports nothing of a line that is out of form"
  exit 1
fi
find include src tests bench examples -name '*.[ch]pp' -exec $clang_format --dry-run -Werror {} +
