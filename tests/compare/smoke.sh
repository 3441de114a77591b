#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: smoke.sh PROGRAM FILTER. Runs the cases whose names match, with a few messages each.
set -eu
if [ "$(nproc)" -lt 2 ]; then
  echo "skipped: the comparison needs two processors"
  exit 0
fi
exec "$1" --smoke --filter "$2"
