# SPDX-License-Identifier: MIT
# The rules of check.sh, for any number of source files.

BEGIN {
  # A folder is a layer; "error", "deadline" and "ids" are the headers of the top level that lower
  # layers may use; "top" is all else. A layer may include itself.
  may["base"] = " "
  may["layout"] = " base "
  may["os"] = " base error deadline "
  may["sync"] = " base layout os deadline "
  may["ring"] = " base layout "
  may["mem"] = " base layout os error deadline ids "
  may["error"] = " base "
  may["deadline"] = " base "
  may["ids"] = " base "
}

function breach(line, rule) {
  printf "%s:%d: %s\n", FILENAME, line, rule
  breaches++
}

# The layer of a path below include/mews or src.
function layer_of(path,   folder) {
  if (path ~ /\//) {
    folder = path
    sub(/\/.*/, "", folder)
    return (folder in may) ? folder : "top"
  }
  if (path ~ /^(error|deadline|ids)\.[ch]pp$/) return substr(path, 1, index(path, ".") - 1)
  return "top"
}

function allowed(layer) {
  return may[layer] == " " ? "the standard library alone" : "only" commas(may[layer])
}
function commas(names) {
  sub(/ $/, "", names)
  gsub(/ /, ", ", names)
  return substr(names, 2)
}

function check_quoted(line, path,   target) {
  if (path ~ /(^|\/)\.\.(\/|$)/) {
    breach(line, "\"" path "\" climbs out of its folder: name a header from include/ or src/")
    return
  }
  if (path ~ /^mews\//) {
    target = layer_of(substr(path, 6))
  } else if (path ~ /\//) {
    target = layer_of(path)
  } else {
    target = layer  # a private header beside its user
  }
  if (target == layer || layer == "top" || index(may[layer], " " target " ")) return
  breach(line, layer " may include " allowed(layer) ", but this is \"" path "\" (" target ")")
}

function check_angled(line, path) {
  if (path ~ /^mews\//) {
    breach(line, "<" path "> must be written \"" path "\"")
  } else if (is_public && path ~ /^(boost|fmt)\// && !(is_asio && path ~ /^boost\/asio\//)) {
    breach(line, "no header under include/mews may include Boost or fmt, but this is <" path ">")
  } else if (layer == "base" && path ~ /[.\/]/) {
    breach(line, "base may include the standard library alone, but this is <" path ">")
  } else if ((layer == "layout" || layer == "ring") && path ~ /\.h$/ && path !~ /^fmt\//) {
    breach(line, layer " makes no system calls, but includes <" path ">")
  }
}

# Every name of the library is in the inline namespace MEWS_LAYOUT, which the header
# base/layout_version.hpp names; each header of the library includes that one, or another.
function check_namespace(line) {
  is_layout_next = line == "namespace MEWS_VISIBLE mews {"
  if (!is_layout_next && line !~ /^namespace mews::inline MEWS_LAYOUT[ :]/) {
    breach(FNR, "what is declared here has no layout version: namespace mews::inline MEWS_LAYOUT")
  } else if (!has_quoted) {
    breach(FNR, "MEWS_LAYOUT needs \"mews/base/layout_version.hpp\"")
  }
}

# Examples show what users include.
function check_example(line, path) {
  if (path ~ /^mews\/.*\//) {
    breach(line, "users include mews/*.hpp alone, but <" path "> is of a folder, which is not for them")
  }
}

function check_length() {
  if (lines > 400) {
    printf "%s:%d: no file may be longer than 400 lines\n", file, lines
    breaches++
  }
}

FNR == 1 {
  check_length()
  file = FILENAME
  is_public = FILENAME ~ /^include\/mews\//
  is_layered = is_public || FILENAME ~ /^src\//
  is_example = FILENAME ~ /^examples\//
  is_asio = FILENAME == "include/mews/detail/asio_api.hpp"  # it is what that header is for
  inside = FILENAME
  sub(/^(include\/mews|src)\//, "", inside)
  layer = layer_of(inside)
  has_quoted = is_layout_next = 0
  if ($0 != "// SPDX-License-Identifier: MIT") {
    breach(1, "the first line must be // SPDX-License-Identifier: MIT")
  }
}
FNR == 2 && FILENAME ~ /\.hpp$/ && $0 != "#pragma once" {
  breach(2, "the second line of a header must be #pragma once")
}
{ lines = FNR }

is_layout_next {
  if ($0 != "inline namespace MEWS_LAYOUT {") {
    breach(FNR, "MEWS_VISIBLE mews goes on with inline namespace MEWS_LAYOUT {")
  }
  is_layout_next = 0
}
is_layered && /^namespace .*mews/ { check_namespace($0) }

is_example && /^[ \t]*#[ \t]*include/ {
  path = $0
  gsub(/^[ \t]*#[ \t]*include[ \t]*[<"]|[">].*/, "", path)
  check_example(FNR, path)
}
is_layered && /^[ \t]*#[ \t]*include/ {
  path = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", path)
  opening = substr(path, 1, 1)
  path = substr(path, 2)
  sub(/[">].*/, "", path)
  if (opening == "\"") {
    check_quoted(FNR, path)
    has_quoted = 1
  } else check_angled(FNR, path)
}

END {
  check_length()
  if (breaches) printf "%d breaches of the rules of this tree\n", breaches
  exit breaches > 0
}
