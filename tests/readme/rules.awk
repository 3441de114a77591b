# SPDX-License-Identifier: MIT
# The rules of check.sh, for one page; `folder` is where it lies.

function breach(line, what) {
  printf "%s:%d: %s\n", FILENAME, line, what
  breaches++
}

function exists(path) {
  return system("test -e '" path "'") == 0
}

function indentation(line) {
  match(line, /^ */)
  return RLENGTH
}

# Whether block[1..length_of_block] stands in lines[at...], all of it further to the right alike.
function stands_at(at,   i, shift) {
  shift = indentation(lines[at])
  for (i = 1; i <= length_of_block; i++) {
    if (lines[at + i - 1] == "" && block[i] == "") continue
    if (indentation(lines[at + i - 1]) < shift) return 0
    if (substr(lines[at + i - 1], shift + 1) != block[i]) return 0
  }
  return 1
}

function check_block(line,   path, count, at) {
  path = block[0]
  if (length_of_block < 1 || path !~ /^(\/\/|#) [^ ]+$/) {
    breach(line, "a block of code must begin with a comment that names the file it is from")
    return
  }
  sub(/^(\/\/|#) /, "", path)
  if (!exists(path)) {
    breach(line, "code from \"" path "\", which is not there")
    return
  }
  count = 0
  while ((getline lines[count + 1] < path) > 0) count++
  close(path)
  for (at = 1; at + length_of_block - 1 <= count; at++) {
    if (stands_at(at)) return
  }
  breach(line, "this code is not in \"" path "\"")
}

function check_links(text,   target) {
  while (match(text, /\]\([^)]*\)/)) {
    target = substr(text, RSTART + 2, RLENGTH - 3)
    text = substr(text, RSTART + RLENGTH)
    sub(/#.*/, "", target)
    if (target == "" || target ~ /^https?:/) continue
    if (!exists(folder "/" target)) breach(FNR, "a link to \"" target "\", which is not there")
  }
}

/^```/ {
  if (!is_in_block) {
    is_in_block = 1
    is_code = $0 ~ /^```(cpp|c\+\+|cmake)/
    length_of_block = -1
    begin = FNR
  } else {
    is_in_block = 0
    if (is_code) check_block(begin)
  }
  next
}
is_in_block { block[++length_of_block] = $0; next }
{ check_links($0) }

END { exit breaches > 0 }
