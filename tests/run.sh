#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh tests/run.sh [--quick | --all] [--long]
# Installs what is missing (Debian), then builds the project and runs its tests: with GCC plain and
# with AddressSanitizer and UndefinedBehaviorSanitizer, with clang plain and with ThreadSanitizer.
# Uses ccache where it is installed.
#   --quick  GCC, plain, alone
#   --all    also GCC with ThreadSanitizer, and clang with the other two
#   --long   the long chaos and stress runs (MEWS_LONG=1)
#   --help   prints this
set -eu
cd "$(dirname "$0")/.."
log_dir=build
. .ci/packages.sh

flavours='release asan clang-release clang-tsan'
for argument; do
  case $argument in
    --quick) flavours=release ;;
    --all) flavours="$flavours tsan clang-asan" ;;
    --long) export MEWS_LONG=1 ;;
    --help) print_usage tests/run.sh && exit ;;
    *) wrong_option tests/run.sh "$argument" ;;
  esac
done

export LC_ALL=C.UTF-8 NINJA_STATUS='[%f/%t] '
export ASAN_OPTIONS="halt_on_error=1:strict_string_checks=1:check_initialization_order=1"
export UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1"
# Tests start processes while threads run; a child goes on to exec.
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1:die_after_fork=0"
jobs=$(nproc)
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_SLOPPINESS=pch_defines,time_macros
fi

now() { date +%s; }

# ThreadSanitizer of these compilers does not start where the kernel spreads addresses wider than
# it knows; without that spreading it does. Prints the command to run programs of $1 under.
tsan_runner() {
  probe=build/tsan_probe
  echo 'int main() {}' | "$1" -fsanitize=thread -x c++ - -o "$probe"
  for _ in 1 2 3 4 5 6 7 8; do
    "$probe" >"$probe.log" 2>&1 && continue
    if grep -q 'unexpected memory mapping' "$probe.log" && setarch "$(uname -m)" -R "$probe"; then
      echo "setarch $(uname -m) -R"
      return
    fi
    cat "$probe.log" >&2
    return
  done
}

# The end of a flavour's log: which tests failed, or what did not build.
how_it_ended() {
  sed -n '/tests passed/,$p' "build/$1.log" | grep . || tail -n 30 "build/$1.log"
}

# What the tests of a flavour left out, each reason once. With version 2 of Catch2 such a test counts
# as passed.
what_was_skipped() {
  awk '/^ *skipped: / { sub(/^ */, ""); print }
    is_reason { sub(/^ */, "skipped: "); print }
    { is_reason = /^explicitly with message:$/ }' \
    "build/$1/Testing/Temporary/LastTest.log" 2>/dev/null | sort -u
}

# flavour PRESET: configures, builds, tests. Leaves its result in build/PRESET.result.
flavour() {
  started=$(now)
  echo
  echo "== $1: configure and build"
  cmake --preset "$1" >"build/$1.log" 2>&1 || {
    cat "build/$1.log"
    echo 'does not configure' >"build/$1.result"
    return 1
  }
  { cmake --build "build/$1" --parallel "$jobs" || touch "build/$1.failed"; } 2>&1 |
    tee "build/$1.log"
  if [ -e "build/$1.failed" ]; then
    echo 'does not build' >"build/$1.result"
    return 1
  fi
  runner=
  case $1 in
    tsan) runner=$(tsan_runner g++) ;;
    clang-tsan) runner=$(tsan_runner clang++) ;;
  esac
  echo "== $1: test (built in $(($(now) - started)) s)"
  # shellcheck disable=SC2086
  { $runner ctest --test-dir "build/$1" --output-on-failure --no-tests=error -j "$jobs" ||
    touch "build/$1.failed"; } 2>&1 | tee "build/$1.log"
  line=$(grep 'tests passed' "build/$1.log" || echo 'no tests ran')
  echo "$line, $(($(now) - started)) s with the build" >"build/$1.result"
  [ ! -e "build/$1.failed" ]
}

mkdir -p build
need_packages $build_packages $test_packages $example_packages

begun=$(now)
failed=
for preset in $flavours; do
  rm -f "build/$preset.failed" "build/$preset.result"
  flavour "$preset" || failed="$failed $preset"
done

echo
for preset in $flavours; do
  echo "$preset: $(cat "build/$preset.result")"
  what_was_skipped "$preset" | sed 's/^/  /'
done
if [ -n "$failed" ]; then
  for preset in $failed; do
    echo "== $preset: how it ended"
    how_it_ended "$preset"
  done
  echo "tests: FAILED in$failed, $(($(now) - begun)) s"
  exit 1
fi
echo "tests: passed in $flavours, $(($(now) - begun)) s"
