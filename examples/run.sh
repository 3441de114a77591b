#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh examples/run.sh [font_host options], e.g. --json, --font FILE
# Builds (Release) and runs the font example: one host and 17 plugins. Installs what is missing.
# Without --font it makes a WOFF2 file of a large font from a Debian package, once.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$root/build/examples
log_dir=$root/build
. "$root/.ci/packages.sh"

font_package=fonts-ipafont-mincho # 8 MB of TrueType outlines in one file
font=$build/default_font.woff2

has_font=no
for argument; do
  case $argument in --font | --font=*) has_font=yes ;; esac
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
