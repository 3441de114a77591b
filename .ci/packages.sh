# SPDX-License-Identifier: MIT
# Sourced by the run scripts. need_packages NAME... installs what is missing, and touches nothing
# when nothing is; a|b is satisfied by either and installs a. Needs $log_dir.

need_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "packages: not a Debian system; these are needed: $*"
    return 0
  fi
  missing=
  for package; do
    is_installed "${package%|*}" || is_installed "${package#*|}" || missing="$missing ${package%|*}"
  done
  if [ -z "$missing" ]; then
    echo "packages: all there"
    return 0
  fi
  echo "packages: installing$missing"
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    as_root='sudo'
    command -v sudo >/dev/null || {
      echo "packages: run this as root, or install sudo"
      return 1
    }
  fi
  mkdir -p "$log_dir"
  # The lists may be absent or out of date: they are fetched when installing fails without.
  # shellcheck disable=SC2086
  if ! install_now $missing >"$log_dir/packages.log" 2>&1; then
    if ! { $as_root apt-get update && install_now $missing; } >>"$log_dir/packages.log" 2>&1; then
      cat "$log_dir/packages.log"
      echo "packages: could not install$missing"
      return 1
    fi
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_now() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# What a run script says of itself: the comment at its head.
print_usage() {
  sed -n '3,/^set /{ /^#/s/^# \{0,1\}//p; }' "$1"
}

wrong_option() {
  {
    echo "no such option: $2"
    print_usage "$1"
  } >&2
  exit 2
}

build_packages='g++ cmake ninja-build pkg-config libfmt-dev libboost-dev libexpected-dev'
example_packages='libcli11-dev nlohmann-json3-dev libwoff-dev libasio-dev'
# llvm has the program that names the functions in ThreadSanitizer's reports.
test_packages='clang clang-format libclang-rt-dev|libclang-rt-14-dev llvm catch2
  libboost-context-dev libbenchmark-dev strace valgrind woff2 fonts-dejavu-core'
