#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check.sh can fail: a small tree that keeps the rules passes, and each way of breaking
# one is reported with file, line and rule.
set -eu
check=$(cd "$(dirname "$0")" && pwd)/check.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failures=0

# put FILE [LINE...]: a well-formed file with these lines after its head.
put() {
  mkdir -p "$(dirname "$tree/$1")"
  path=$tree/$1
  echo '// SPDX-License-Identifier: MIT' >"$path"
  case $1 in *.hpp) echo '#pragma once' >>"$path" ;; esac
  shift
  for line; do printf '%s\n' "$line" >>"$path"; done
}

# expect WHAT REPORT: the tree is refused, with REPORT among what is printed; then cleared.
expect() {
  if out=$(sh "$check" "$tree" 2>&1); then
    echo "accepted: $1"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$out" | grep -qF -e "$2"; then
    printf 'refused without saying "%s": %s\n%s\n' "$2" "$1" "$out"
    failures=$((failures + 1))
  fi
  rm -rf "$tree"/*
}

put include/mews/base/a.hpp '#include <atomic>'
put include/mews/error.hpp '#include <tl/expected.hpp>' '#include "mews/base/a.hpp"'
put include/mews/os/a.hpp '#include <unistd.h>' '#include "mews/error.hpp"'
put include/mews/channel.hpp '#include "mews/ring/a.hpp"' '#include "mews/sync/a.hpp"'
put src/layout/a.cpp '#include <fmt/format.h>' '#include "a_rules.hpp"' '// #include "mews/os/a.hpp"'
put src/channel.cpp '#include "mews/os/a.hpp"' 'namespace mews::inline MEWS_LAYOUT::os {'
put include/mews/loan.hpp '#include "mews/error.hpp"' 'namespace MEWS_VISIBLE mews {' \
  'inline namespace MEWS_LAYOUT {'
put tests/a.cpp 'namespace mews::model {'
put examples/a.cpp '#include <mews/mews.hpp>' '#include <sys/mman.h>'
if ! out=$(sh "$check" "$tree" 2>&1); then
  printf 'refused a tree that keeps the rules:\n%s\n' "$out"
  failures=$((failures + 1))
fi
rm -rf "$tree"/*

expect 'an empty tree' 'nothing was checked'

put include/mews/base/a.hpp '#include "mews/error.hpp"'
expect 'base -> error' 'include/mews/base/a.hpp:3: base may include the standard library alone'
put include/mews/base/a.hpp '#include <sys/mman.h>'
expect 'base -> system' 'include/mews/base/a.hpp:3: base may include the standard library alone'
put include/mews/layout/a.hpp '' '#include "mews/os/futex.hpp"'
expect 'layout -> os' 'include/mews/layout/a.hpp:4: layout may include only base, but'
put include/mews/os/a.hpp '#include "mews/layout/cell.hpp"'
expect 'os -> layout' 'include/mews/os/a.hpp:3: os may include only base, error, deadline, but'
put include/mews/sync/a.hpp '  #  include "mews/ring/lane.hpp"'
expect 'sync -> ring' 'include/mews/sync/a.hpp:3: sync may include only base, layout, os, deadline, but'
put src/ring/a.cpp '#include "mews/sync/doorbell.hpp"'
expect 'ring -> sync' 'src/ring/a.cpp:2: ring may include only base, layout, but'
put include/mews/ring/a.hpp '#include <linux/futex.h>'
expect 'ring -> system' 'include/mews/ring/a.hpp:3: ring makes no system calls'
put src/mem/a.cpp '#include "mews/session.hpp"'
expect 'mem -> top' 'src/mem/a.cpp:2: mem may include only base, layout, os, error, deadline, ids, but'
put src/mem/a.cpp '#include "ring/private.hpp"'
expect 'mem -> a private header of ring' 'src/mem/a.cpp:2: mem may include only'
put src/mem/a.cpp '#include "../ring/private.hpp"'
expect 'climbing' 'src/mem/a.cpp:2: "../ring/private.hpp" climbs out of its folder'
put include/mews/ids.hpp '#include "mews/error.hpp"'
expect 'ids -> error' 'include/mews/ids.hpp:3: ids may include only base, but'
put src/a.cpp '#include <mews/error.hpp>'
expect 'angle brackets' 'src/a.cpp:2: <mews/error.hpp> must be written "mews/error.hpp"'
put include/mews/session.hpp '#include <fmt/format.h>'
expect 'fmt in a header' 'include/mews/session.hpp:3: no header under include/mews may include'
put include/mews/os/a.hpp '#include <boost/interprocess/mapped_region.hpp>'
expect 'Boost in a header' 'include/mews/os/a.hpp:3: no header under include/mews may include'
put src/core/a.cpp '#include "a.hpp"' 'namespace mews::detail {'
expect 'no layout version' 'src/core/a.cpp:3: what is declared here has no layout version'
put include/mews/a.hpp '#include "mews/b.hpp"' 'namespace MEWS_VISIBLE mews {' 'class A;'
expect 'visible, no layout version' 'include/mews/a.hpp:5: MEWS_VISIBLE mews goes on with inline'
put include/mews/base/a.hpp '#include <atomic>' 'namespace mews::inline MEWS_LAYOUT::base {'
expect 'a layout version that nobody defines' 'include/mews/base/a.hpp:4: MEWS_LAYOUT needs "mews/base'
put examples/a.cpp '#include <mews/detail/channel_core.hpp>'
expect 'an example that includes a folder' 'examples/a.cpp:2: users include mews/*.hpp alone'
mkdir -p "$tree/tests" && echo '#include <atomic>' >"$tree/tests/a.cpp"
expect 'no licence line' 'tests/a.cpp:1: the first line must be'
mkdir -p "$tree/src" && printf '// SPDX-License-Identifier: MIT\n\n#pragma once\n' >"$tree/src/a.hpp"
expect 'late pragma once' 'src/a.hpp:2: the second line of a header must be #pragma once'
put src/a.cpp && seq 400 | sed 's/.*/\/\/ &/' >>"$tree/src/a.cpp" && put src/b.cpp
expect 'a long file' 'src/a.cpp:401: no file may be longer than 400 lines'

[ "$failures" -eq 0 ]
