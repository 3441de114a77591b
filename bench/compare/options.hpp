// SPDX-License-Identifier: MIT
#pragma once

#include <regex>
#include <string>

namespace mews::bench::compare {

struct Options {
  bool is_smoke = false;
  bool is_list = false;
  double seconds = 1.5;  ///< for each peer in each case, all its turns together
  std::string filter_text = ".*";
  std::regex filter{".*"};
  std::string json_path;
  std::string font_path;
  std::string command = "sh bench/compare.sh";  ///< as the reports name it
};

/// A wrong one ends the program with 2, and says which.
[[nodiscard]] Options parse_options(int argc, char** argv);

}  // namespace mews::bench::compare
