// SPDX-License-Identifier: MIT
#include "compare/options.hpp"

#include <cstdio>
#include <cstdlib>

namespace mews::bench::compare {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

double seconds_from(const std::string& text) {
  char* end = nullptr;
  const double seconds = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(seconds > 0) || seconds > 3600) {
    refuse("--seconds needs a number above 0, not: " + text);
  }
  return seconds;
}

std::regex filter_from(const std::string& text) {
  try {
    return std::regex(text, std::regex::extended);
  } catch (const std::regex_error&) {
    refuse("--filter needs a regular expression, not: " + text);
  }
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    const auto value = [&]() -> std::string {
      if (++i >= argc) refuse(name + " needs a value");
      return argv[i];
    };
    if (name == "--smoke") {
      options.is_smoke = true;
    } else if (name == "--list") {
      options.is_list = true;
    } else if (name == "--seconds") {
      options.seconds = seconds_from(value());
    } else if (name == "--filter") {
      options.filter_text = value();
      options.filter = filter_from(options.filter_text);
    } else if (name == "--json") {
      options.json_path = value();
    } else if (name == "--font") {
      options.font_path = value();
    } else {
      refuse("no such option: " + name);
    }
    // A font's path says nothing to others.
    if (name == "--font" || name == "--json") continue;
    options.command += " " + name;
    if (name == "--seconds") options.command += std::string(" ") + argv[i];
    if (name == "--filter") options.command += " '" + options.filter_text + "'";
  }
  return options;
}

}  // namespace mews::bench::compare
