#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: charts.sh ROOT PROGRAM. Draws the charts of a smoke run, and checks that each is there, is
# XML, and says command, date and processor.
set -eu
if [ "$(nproc)" -lt 2 ] || ! command -v python3 >/dev/null; then
  echo "skipped: two processors and python3 are needed"
  exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" --smoke --filter '^(clients/17|echo/.*/spin/all|stream/.*/spin/all|allocator/alone)' \
  --json "$folder/compare.json" >"$folder/table"
python3 "$1/bench/compare/charts.py" "$folder/compare.json" "$folder"
for name in clients echo stream allocator; do
  chart=$folder/compare-$name.svg
  python3 -c 'import sys, xml.dom.minidom as dom; dom.parse(sys.argv[1])' "$chart"
  grep -q 'sh bench/compare.sh --smoke --filter ' "$chart"
  grep -q "$(date -u +%Y)" "$chart"
  grep -q 'mews' "$chart"
done
