// SPDX-License-Identifier: MIT
// mews beside its peers: the same work, the same driver, the same processors for all.
// bench/compare.sh builds and runs it.
#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "compare/cases.hpp"
#include "compare/options.hpp"
#include "compare/report.hpp"
#include "support/cpu.hpp"

namespace {

namespace bench = mews::bench;
namespace compare = mews::bench::compare;

constexpr unsigned kTurns = 5;

struct Known {
  const char* peer;
  const char* needs;
};
constexpr std::array kKnown{Known{"Boost message_queue", "libboost-dev"},
                            Known{"ZeroMQ", "libzmq3-dev"}, Known{"nng", "libnng-dev"},
                            Known{"iceoryx", "libiceoryx-posh-dev, libiceoryx-hoofs-dev, iceoryx"},
                            Known{"iceoryx2", "cargo, and the crate iceoryx2"}};

void print_absent(std::FILE* out, bool has_font) {
  const auto& there = compare::peers();
  for (const auto& known : kKnown) {
    if (std::ranges::find(there, known.peer, &compare::Peer::name) != there.end()) continue;
    std::fprintf(out, "absent: %s (needs %s)\n", known.peer, known.needs);
  }
  if (!has_font) std::fprintf(out, "absent: the cases of the font (need --font FILE)\n");
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = compare::parse_options(argc, argv);
  std::string font;
  if (!options.font_path.empty()) font = contents_of(options.font_path);
  const auto font_bytes = font.empty() ? 0 : compare::decompressed_bytes(font);
  if (!options.font_path.empty() && font_bytes == 0) {
    std::fprintf(stderr, "skipped: the font: %s is no WOFF2 file, or libwoff-dev was not found\n",
                 options.font_path.c_str());
  }
  auto cases = compare::all_cases({.is_smoke = options.is_smoke,
                                   .font = font_bytes == 0 ? nullptr : &font,
                                   .font_bytes = font_bytes});
  std::erase_if(cases,
                [&](const auto& spec) { return !std::regex_search(spec.name, options.filter); });
  if (cases.empty()) {
    std::fprintf(stderr, "no case has a name like: %s\n", options.filter_text.c_str());
    return 2;
  }
  if (options.is_list) {
    for (const auto& spec : cases)
      std::printf("%-28s %s\n", spec.name.c_str(), spec.title.c_str());
    print_absent(stdout, font_bytes != 0);
    return 0;
  }
  bench::pin_to_nth_cpu(0);
  std::printf("`%s`, %s\n", options.command.c_str(), compare::processor_name().c_str());
  print_absent(stdout, font_bytes != 0);
  std::vector<compare::Series> all;
  bool is_sound = true;
  for (const auto& spec : cases) {
    std::fprintf(stderr, "%s\n", spec.name.c_str());
    all.push_back(compare::run_series(spec, options.is_smoke ? 0.1 : options.seconds,
                                      options.is_smoke ? 1 : kTurns));
    compare::print_table(stdout, all.back());
    for (const auto& row : all.back().rows)
      is_sound &= !row.has_failed;
  }
  if (!options.json_path.empty() && !compare::write_json(options.json_path, options.command, all)) {
    std::fprintf(stderr, "cannot write %s\n", options.json_path.c_str());
    is_sound = false;
  }
  return is_sound ? 0 : 1;
}
