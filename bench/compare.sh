#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh bench/compare.sh [options]
# Runs mews beside its peers: builds (Release), measures each case with each peer in turn, and prints
# one table a case. Installs what is missing; a peer that cannot be had is left out, and named.
#   --filter REGEX  only cases whose name matches, e.g. clients/17 or 'echo/.*/spin'
#   --seconds N     for each peer in each case (1.5)
#   --json FILE     all figures, by placement of the processors
#   --font FILE     a WOFF2 file for the case of the font, which is skipped without it
#   --smoke         a few messages a case: shows that each works, its figures mean nothing
#   --list          names the cases, and the peers that are absent
#   --help          prints this
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
script=$root/bench/compare.sh
build=$root/build/bench
log_dir=$root/build
. "$root/.ci/packages.sh"

expects=
for argument; do
  case $expects in
    --seconds) case $argument in '' | . | *[!0-9.]* | *.*.*) wrong_option "$script" "$argument" ;; esac ;;
  esac
  if [ -n "$expects" ]; then
    expects=
    continue
  fi
  case $argument in
    --help) print_usage "$script" && exit ;;
    --filter | --seconds | --json | --font) expects=$argument ;;
    --smoke | --list) ;;
    *) wrong_option "$script" "$argument" ;;
  esac
done
if [ -n "$expects" ]; then
  echo "$expects needs a value" >&2
  exit 2
fi

# The peers; the last are the decoder of the font, and what finds it.
peer_packages='libzmq3-dev libnng-dev libiceoryx-posh-dev libiceoryx-hoofs-dev iceoryx
  libmimalloc-dev libjemalloc-dev libwoff-dev'

can_be_had() {
  is_installed "$1" || LC_ALL=C apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

install_peers() {
  wanted=
  for package in $peer_packages; do
    if can_be_had "$package"; then
      wanted="$wanted $package"
    else
      echo "packages: $package cannot be had here"
    fi
  done
  need_packages $wanted && return
  # One of them stood in the way of all.
  for package in $wanted; do
    need_packages "$package" || echo "packages: goes on without $package"
  done
}

# iceoryx2 is no package: where there is cargo, it may have the crate. Sets $iceoryx2.
build_iceoryx2() {
  iceoryx2=
  command -v cargo >/dev/null || return 0
  rust=$root/build/iceoryx2
  mkdir -p "$rust/src"
  # Beside the sources, cargo would leave a file of its own.
  cp "$root/bench/compare/iceoryx2/Cargo.toml" "$rust"
  cmp -s "$root/bench/compare/iceoryx2/src/lib.rs" "$rust/src/lib.rs" ||
    cp "$root/bench/compare/iceoryx2/src/lib.rs" "$rust/src"
  if (cd "$rust" && cargo build --release >"$log_dir/iceoryx2.log" 2>&1); then
    iceoryx2=$rust/target/release/libmews_compare_iceoryx2.a
  else
    echo "cargo: goes on without iceoryx2, see $log_dir/iceoryx2.log"
  fi
}

# What is printed to stdout are the tables alone.
{
  need_packages $build_packages libbenchmark-dev
  if command -v apt-cache >/dev/null; then
    [ -n "$(apt-cache pkgnames libzmq3)" ] || apt-get update || true
    install_peers
  fi
  build_iceoryx2
  cmake -S "$root" --preset bench -D "MEWS_COMPARE_ICEORYX2=$iceoryx2"
  cmake --build "$build" --target mews_compare --parallel "$(nproc)"
} >&2

# jemalloc is loaded beside the C library's malloc, and needs room for its thread-local data.
GLIBC_TUNABLES=glibc.rtld.optional_static_tls=16384${GLIBC_TUNABLES:+:$GLIBC_TUNABLES}
export GLIBC_TUNABLES
exec "$build/bench/compare/mews_compare" "$@"
