// SPDX-License-Identifier: MIT
// One host and 17 plugins in one arena: `fonts` decompresses a WOFF2 font straight into shared
// memory while the other sixteen answer small requests. See --help.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "font_report.hpp"
#include "font_rounds.hpp"
#include "font_site.hpp"
#include "small_traffic.hpp"

namespace {

using example::FontReport;
using example::Outcome;
using example::Site;

struct Options {
  std::string font;
  std::string plugins_dir;
  std::string arena = "default";
  std::uint32_t rounds = 5;
  std::uint32_t pause_us = 1000;
  bool is_json = false;
};

Outcome<std::vector<std::byte>> read_file(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) return tl::unexpected("cannot read the font \"" + path + "\": " + error.message());
  std::ifstream file(path, std::ios::binary);
  std::vector<std::byte> content(bytes);
  file.read(reinterpret_cast<char*>(content.data()), static_cast<std::streamsize>(bytes));
  if (!file) {
    return tl::unexpected("cannot read the font \"" + path + "\": " + std::strerror(errno));
  }
  return content;
}

/// Round trips of one kind, and whether each brought the same bytes.
struct Rounds {
  std::vector<double> total_ms, plugin_ms, overhead_ms;
  std::uint64_t page_faults = 0;
  bool is_identical = true;

  void add(const example::RoundTrip& trip, std::span<const std::byte> font) {
    total_ms.push_back(trip.total_ms);
    plugin_ms.push_back(trip.plugin_ms);
    overhead_ms.push_back(trip.overhead_ms());
    page_faults = std::max(page_faults, trip.page_faults);
    is_identical = is_identical && std::ranges::equal(trip.font.bytes(), font);
  }
  [[nodiscard]] FontReport::Trip medians() const {
    return {example::median(total_ms), example::median(plugin_ms), example::median(overhead_ms)};
  }
};

/// The rounds while the small plugins work. Gives the first round's font.
Outcome<std::vector<std::byte>> run_busy(Site& site, std::span<const std::byte> woff2,
                                         const Options& options, FontReport& report) {
  example::SmallTraffic traffic(site.small, std::chrono::microseconds(options.pause_us));
  const auto decompress = [&] {
    traffic.begin_round();
    auto trip = example::decompress_in_plugin(*site.fonts, woff2);
    traffic.end_round();
    return trip;
  };
  auto cold = decompress();
  if (!cold) return tl::unexpected(cold.error());
  report.cold = {cold->total_ms, cold->plugin_ms, cold->overhead_ms()};
  report.cold_loan_ms = cold->loan_ms;
  report.cold_page_faults = cold->page_faults;
  std::vector<std::byte> font(cold->font.bytes().begin(), cold->font.bytes().end());
  cold->font = {};  // gives the memory back: the next round takes it again

  Rounds warm;
  for (std::uint32_t round = 0; round < options.rounds; ++round) {
    const auto trip = decompress();
    if (!trip) return tl::unexpected(trip.error());
    warm.add(*trip, font);
  }
  report.warm = warm.medians();
  report.warm_page_faults = warm.page_faults;
  report.is_identical = warm.is_identical;

  const auto small = traffic.stop();
  if (small.failure) return tl::unexpected(*small.failure);
  report.small_messages = small.latencies_us.size();
  report.small_in_all = small.answered;
  report.small_wrong = small.wrong;
  report.small_p50_us = example::percentile(small.latencies_us, 0.50);
  report.small_p99_us = example::percentile(small.latencies_us, 0.99);
  return font;
}

/// The rounds while the small plugins sleep, in turn with the host alone.
Outcome<void> run_quiet(Site& site, std::span<const std::byte> woff2,
                        std::span<const std::byte> font, FontReport& report) {
  example::LocalDecoder local(woff2, font.size());
  const auto cold_ms = local.decompress();
  if (!cold_ms) return tl::unexpected(cold_ms.error());
  report.local_cold_ms = *cold_ms;
  report.is_identical = report.is_identical && std::ranges::equal(local.font(), font);

  std::vector<double> local_ms;
  Rounds quiet;
  for (std::uint32_t round = 0; round < report.rounds; ++round) {
    const auto took_ms = local.decompress();
    if (!took_ms) return tl::unexpected(took_ms.error());
    local_ms.push_back(*took_ms);
    const auto trip = example::decompress_in_plugin(*site.fonts, woff2);
    if (!trip) return tl::unexpected(trip.error());
    quiet.add(*trip, font);
  }
  report.local_ms = example::median(local_ms);
  report.quiet = quiet.medians();
  report.is_identical = report.is_identical && quiet.is_identical;
  return {};
}

Outcome<FontReport> run(const Options& options) {
  const auto woff2 = read_file(options.font);
  if (!woff2) return tl::unexpected(woff2.error());
  const auto begin = std::chrono::steady_clock::now();
  auto site = example::start_site({options.plugins_dir, options.arena == "small"});
  if (!site) return tl::unexpected(site.error());
  FontReport report;
  report.start_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  report.arena_idle_bytes = site->session.stats().arena_resident_bytes;
  report.rounds = options.rounds;
  report.input_bytes = woff2->size();

  const auto font = run_busy(*site, *woff2, options, report);
  if (!font) return tl::unexpected(font.error());
  report.output_bytes = font->size();
  if (auto done = run_quiet(*site, *woff2, *font, report); !done) {
    return tl::unexpected(done.error());
  }
  const auto stats = site->session.stats();
  report.arena_virtual_bytes = stats.arena_virtual_bytes;
  report.arena_resident_bytes = stats.arena_resident_bytes;
  report.plugins = stats.plugins;
  return report;
}

/// The standard library throws when the host's own buffers find no memory.
Outcome<FontReport> run_caught(const Options& options) {
  try {
    return run(options);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(std::string("no memory for the host's own copy of the font"));
  }
}

std::string own_directory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

void describe(CLI::App& app, Options& options) {
  app.footer(
      "plugin_ms    time inside the plugin: request received to font ready\n"
      "local_ms     the same decompression in the host alone, into warm memory\n"
      "overhead_ms  round trip - time inside the plugin: what sending there and back costs\n"
      "Medians of --rounds warm rounds. The exit status is 1 when bytes differ or anything fails.");
  app.add_option("--font", options.font, "WOFF2 file to decompress")->required();
  app.add_flag("--json", options.is_json, "print one JSON object instead of the table");
  app.add_option("--rounds", options.rounds, "warm rounds of each kind")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--pause", options.pause_us,
                 "microseconds between a small plugin's answer and its next request")
      ->capture_default_str();
  app.add_option("--plugins-dir", options.plugins_dir, "where font_plugin and small_plugin are")
      ->capture_default_str();
  app.add_option("--arena", options.arena,
                 "small: 0.4 GiB of address space instead of 5.5, for a limit on it")
      ->check(CLI::IsMember({"default", "small"}))
      ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv) {
  Options options{.font = {}, .plugins_dir = own_directory()};
  CLI::App app("Decompresses a font in a plugin while sixteen other plugins answer, and measures.");
  describe(app, options);
  CLI11_PARSE(app, argc, argv);
  const auto report = run_caught(options);
  if (!report) {
    std::fprintf(stderr, "font_host: %s\n", report.error().c_str());
    return 1;
  }
  if (options.is_json) {
    example::print_json(*report);
  } else {
    example::print_table(*report, std::filesystem::path(options.font).filename().string());
  }
  return report->is_identical && report->small_wrong == 0 ? 0 : 1;
}
