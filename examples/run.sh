#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh examples/run.sh [options]
# Builds (Release) and runs the font example: one host and 17 plugins. Installs what is missing.
#   --font FILE     WOFF2 file to decompress; without it one is made of a large font from a Debian
#                   package, once
#   --json          print one JSON object instead of the table
#   --rounds N      warm rounds while the other plugins work, and again while they sleep (5)
#   --pause N       microseconds between a small plugin's answer and its next request (1000)
#   --arena small   0.4 GiB of address space instead of 5.5, for a limit on it
#   --spoil N       the plugin changes one byte of the Nth font, which must be noticed
#   --help          prints this
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/examples
log_dir=$root/build
. "$root/.ci/packages.sh"

font_package=fonts-ipafont-mincho # 8 MB of TrueType outlines in one file
font=$build/default_font.woff2

has_font=no
wants_value=no
for argument; do
  if [ $wants_value = yes ]; then
    wants_value=no
    continue
  fi
  case $argument in --font | --font=*) has_font=yes ;; esac
  case $argument in
    --help) print_usage "$root/examples/run.sh" && exit ;;
    --font | --rounds | --pause | --arena | --plugins-dir | --spoil) wants_value=yes ;;
    --json | --font=* | --rounds=* | --pause=* | --arena=* | --plugins-dir=* | --spoil=*) ;;
    *) wrong_option "$root/examples/run.sh" "$argument" ;;
  esac
done

make_font() {
  [ -s "$font" ] && return
  source=$(dpkg -L "$font_package" | grep '/ipam\.ttf$')
  cp "$source" "$build/new_font.ttf"
  echo "font: compressing $source (about 20 seconds, once)"
  (cd "$build" && woff2_compress new_font.ttf)
  rm "$build/new_font.ttf"
  mv "$build/new_font.woff2" "$font"
}

# What is printed to stdout is the program's alone, so that --json can be piped.
{
  if [ $has_font = yes ]; then
    need_packages $build_packages $example_packages
  else
    need_packages $build_packages $example_packages woff2 "$font_package"
  fi
  cmake -S "$root" --preset examples
  cmake --build "$build" --target font_host font_plugin small_plugin --parallel "$(nproc)"
  [ $has_font = yes ] || make_font
} >&2

[ $has_font = yes ] || set -- "$@" --font "$font"
exec "$build/examples/font_host" "$@"
