// SPDX-License-Identifier: MIT
// One host and 17 plugins in one arena: `fonts` decompresses a WOFF2 font straight into shared
// memory while the other sixteen answer small requests. See --help.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
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
  std::uint32_t spoil_font = 0;
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

/// Rounds of one kind, and whether each brought the same bytes.
struct Rounds {
  std::vector<double> total_ms, plugin_ms, local_ms, overhead_ms, message_ms;
  std::uint64_t plugin_page_faults = 0;
  std::uint64_t local_page_faults = 0;
  bool is_identical = true;

  void add(const example::RoundTrip& trip, const example::LocalDecoder& local) {
    total_ms.push_back(trip.total_ms);
    plugin_ms.push_back(trip.plugin_ms);
    local_ms.push_back(local.took_ms());
    overhead_ms.push_back(trip.total_ms - local.took_ms());
    message_ms.push_back(trip.total_ms - trip.plugin_ms);
    plugin_page_faults = std::max(plugin_page_faults, trip.page_faults);
    local_page_faults = std::max(local_page_faults, local.page_faults());
    is_identical = is_identical && std::ranges::equal(trip.font.bytes(), local.font());
  }
  void report_to(FontReport::Times& times, bool& is_all_identical) const {
    using example::median;
    times = {.total_ms = median(total_ms),
             .plugin_ms = median(plugin_ms),
             .local_ms = median(local_ms),
             .overhead_ms = median(overhead_ms),
             .message_ms = median(message_ms),
             .plugin_page_faults = plugin_page_faults,
             .local_page_faults = local_page_faults};
    is_all_identical = is_all_identical && is_identical;
  }
};

/// One font to the plugin and back, while `traffic`, if any, counts.
Outcome<example::RoundTrip> round_trip(Site& site, std::span<const std::byte> woff2,
                                       example::SmallTraffic* traffic) {
  if (traffic != nullptr) traffic->begin_round();
  auto trip = example::decompress_in_plugin(*site.fonts, woff2);
  if (traffic != nullptr) traffic->end_round();
  return trip;
}

/// The host alone and the plugin by turns, so that what else the machine does hits both alike.
Outcome<Rounds> run_rounds(Site& site, example::LocalDecoder& local, std::uint32_t count,
                           example::SmallTraffic* traffic) {
  Rounds rounds;
  for (std::uint32_t round = 0; round < count; ++round) {
    if (auto done = local.decompress(); !done) return tl::unexpected(done.error());
    const auto trip = round_trip(site, local.woff2(), traffic);
    if (!trip) return tl::unexpected(trip.error());
    rounds.add(*trip, local);
  }
  return rounds;
}

/// The first font of all; gives the decoder that the host uses alone from then on.
Outcome<example::LocalDecoder> run_cold(Site& site, std::span<const std::byte> woff2,
                                        example::SmallTraffic& traffic, FontReport& report) {
  const auto trip = round_trip(site, woff2, &traffic);
  if (!trip) return tl::unexpected(trip.error());
  report.output_bytes = trip->font.size();
  report.cold_loan_ms = trip->loan_ms;
  example::LocalDecoder local(woff2, trip->font.size());
  if (auto done = local.decompress(); !done) return tl::unexpected(done.error());
  Rounds cold;
  cold.add(*trip, local);
  cold.report_to(report.cold, report.is_identical);
  return local;
}

/// All rounds while the small plugins work, then all while they sleep.
Outcome<void> run_all(Site& site, std::span<const std::byte> woff2, const Options& options,
                      FontReport& report) {
  example::SmallTraffic traffic(site.small, std::chrono::microseconds(options.pause_us));
  auto local = run_cold(site, woff2, traffic, report);
  if (!local) return tl::unexpected(local.error());
  const auto busy = run_rounds(site, *local, options.rounds, &traffic);
  if (!busy) return tl::unexpected(busy.error());
  busy->report_to(report.busy, report.is_identical);

  const auto small = traffic.stop();
  if (small.failure) return tl::unexpected(*small.failure);
  report.small_messages = small.latencies_us.size();
  report.small_in_all = small.answered;
  report.small_wrong = small.wrong;
  report.small_p50_us = example::percentile(small.latencies_us, 0.50);
  report.small_p99_us = example::percentile(small.latencies_us, 0.99);

  const auto quiet = run_rounds(site, *local, options.rounds, nullptr);
  if (!quiet) return tl::unexpected(quiet.error());
  quiet->report_to(report.quiet, report.is_identical);
  return {};
}

Outcome<FontReport> run(const Options& options) {
  const auto woff2 = read_file(options.font);
  if (!woff2) return tl::unexpected(woff2.error());
  const auto begin = std::chrono::steady_clock::now();
  auto site = example::start_site({.plugins_dir = options.plugins_dir,
                                   .is_small_arena = options.arena == "small",
                                   .spoil_font = options.spoil_font});
  if (!site) return tl::unexpected(site.error());
  FontReport report;
  report.start_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  report.arena_idle_bytes = site->session.stats().arena_resident_bytes;
  report.rounds = options.rounds;
  report.input_bytes = woff2->size();
  if (auto done = run_all(*site, *woff2, options, report); !done) {
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
      "overhead_ms  round trip - local_ms: what it costs not to do it alone\n"
      "Medians of --rounds rounds, host alone and plugin by turns, while the other plugins sleep.\n"
      "The exit status is 1 when bytes differ or anything fails.");
  app.add_option("--font", options.font, "WOFF2 file to decompress")->required();
  app.add_flag("--json", options.is_json, "print one JSON object instead of the table");
  app.add_option("--rounds", options.rounds,
                 "warm rounds while the other plugins work, and again while they sleep")
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
  app.add_option("--spoil", options.spoil_font,
                 "have the plugin change one byte of its N-th font, to see that it is noticed");
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
