# SPDX-License-Identifier: MIT
# Read by the usage.sh of each command: needs $tree, an empty copy of the project that nothing may
# be built in.
failures=0

# expect STATUS PATTERN COMMAND...: exit status, and a line of what is printed.
expect() {
  status=$1
  pattern=$2
  shift 2
  got=0
  out=$(cd / && "$@" 2>&1 </dev/null) || got=$?
  [ $got -eq "$status" ] && printf '%s\n' "$out" | grep -q -e "$pattern" &&
    [ ! -e "$tree/build" ] && return
  printf '"%s" ended with %d, not %d, or does not say "%s":\n%s\n' "$*" $got "$status" "$pattern" "$out"
  failures=$((failures + 1))
}
