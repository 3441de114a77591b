#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: check.sh ROOT. Checks the sources under ROOT: who may include whom, and the form of files.
# Prints "file:line: rule" for each breach; exit status 1 if there was one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"

folders=
for folder in include src tests bench examples; do
  [ -d "$folder" ] && folders="$folders $folder"
done
# shellcheck disable=SC2086
files=$(find $folders -name '*.[ch]pp' | sort)
if [ -z "$files" ]; then
  echo "$1: no C++ source found, so nothing was checked"
  exit 1
fi
# shellcheck disable=SC2086
awk -f "$here/rules.awk" $files
