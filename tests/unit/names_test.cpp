// SPDX-License-Identifier: MIT
#include <cstring>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "core/names.hpp"
#include "core/texts.hpp"

namespace {

using Catch::Matchers::ContainsSubstring;
using mews::ErrorCode;
using mews::detail::check_name;
using mews::detail::printable;

std::string refusal(const std::string& name) {
  const auto error = check_name(name);
  if (!error) return {};
  CHECK(error->code() == ErrorCode::invalid_argument);
  return error->message();
}

}  // namespace

TEST_CASE("name: UTF-8 is a name, up to 39 bytes of it, and is printed as it is") {
  for (const std::string name :
       {"fonts", "Schriften-ä", "шрифты", "字体", "🖋", "a\u00a0b", "\u00e9\u0301"}) {
    CHECK_FALSE(check_name(name));
    CHECK(printable(name) == name);
  }
  CHECK_FALSE(check_name(std::string(39, 'x')));
  std::string cyrillic;
  for (int i = 0; i < 19; ++i)
    cyrillic += "ж";
  CHECK_FALSE(check_name(cyrillic + "x"));
  CHECK_THAT(refusal(cyrillic + "ж"), ContainsSubstring("has 40 bytes"));
}

TEST_CASE("name: a name that is refused is told which character is wrong, and where") {
  CHECK_THAT(refusal(""), ContainsSubstring("is empty"));
  CHECK_THAT(refusal(std::string(40, 'x')), ContainsSubstring("has 40 bytes"));
  CHECK_THAT(refusal("a b"), ContainsSubstring("\"a b\" has a space at byte 1"));
  CHECK_THAT(refusal("äb/c"), ContainsSubstring("has a '/' at byte 3"));
  CHECK_THAT(refusal("a\tb"),
             ContainsSubstring("\"a?b\" has the control character 0x09 at byte 1"));
  CHECK_THAT(refusal("ab\x7f"), ContainsSubstring("has the control character 0x7f at byte 2"));
  CHECK_THAT(refusal("ab\xff"),
             ContainsSubstring("\"ab?\" has the unprintable byte 0xff at byte 2"));
  CHECK_THAT(refusal("\u0085"), ContainsSubstring("has the unprintable byte 0xc2 at byte 0"));
}

TEST_CASE(
    "name: what is not UTF-8 is refused: overlong, surrogate, cut, beyond the last character") {
  for (const std::string name :
       {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
        "a\xc3", "\xe5\xad", "\x80", "\xc3(", "\u2028", "\u2029"}) {
    INFO(printable(name));
    CHECK(check_name(name));
    CHECK(printable(name).find_first_not_of("a?(") == std::string::npos);
    CHECK(printable(name).size() == name.size());
  }
}

TEST_CASE("name: what a peer's entry says is printed byte by byte where it is not printable") {
  CHECK(printable("a\xff\xfe\n字b", 40) == "a???字b");
  CHECK(printable("tail\0more", 9) == "tail");
  CHECK(printable("", 0).empty());
}

TEST_CASE("name: a name that fills a peer's entry is cut where a character begins") {
  const std::string stem(38, 'x');
  CHECK(printable((stem + "字").c_str(), 40) == stem);
  CHECK(printable((stem + "ж").c_str(), 40) == stem + "ж");
  CHECK(printable((stem + "x🖋").c_str(), 40) == stem + "x");
  CHECK(printable((stem + "xyz").c_str(), 40) == stem + "xy");
}
