// SPDX-License-Identifier: MIT
#include "font_report.hpp"

#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

namespace example {

namespace {

double mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1024.0 * 1024.0);
}

/// To the microsecond (or, of microseconds, the nanosecond): the rest is noise.
double rounded(double value) {
  return std::round(value * 1000) / 1000;
}

unsigned long long wide(std::uint64_t value) {
  return value;
}

void print_times(const FontReport& report) {
  const auto row = [&](const char* name, double FontReport::Times::*member) {
    std::printf("%-36s %9.2f %9.2f %9.2f\n", name, report.cold.*member, report.busy.*member,
                report.quiet.*member);
  };
  const auto share = [](const FontReport::Times& times) {
    return 100 * times.overhead_ms / times.local_ms;
  };
  std::printf("%-36s %9s %9s %9s\n", "milliseconds", "cold", "busy", "quiet");
  row("the host alone, no messages", &FontReport::Times::local_ms);
  row("round trip", &FontReport::Times::total_ms);
  row("  of it inside the plugin", &FontReport::Times::plugin_ms);
  row("  of it the messages: the rest", &FontReport::Times::message_ms);
  row("overhead: round trip - host alone", &FontReport::Times::overhead_ms);
  std::printf("%-36s %9s %8.2f%% %8.2f%%\n", "overhead / host alone", "", share(report.busy),
              share(report.quiet));
  std::printf(
      "  cold: the first font, into memory that nobody has touched. Otherwise medians of %u "
      "rounds\n"
      "  into the same memory again, host alone and plugin by turns. Sixteen plugins answer small\n"
      "  requests meanwhile, also while the host works alone; quiet: they sleep.\n",
      report.rounds);
}

}  // namespace

void print_table(const FontReport& report, const std::string& font_name) {
  std::printf("font        %s: %llu to %llu bytes, %s\n", font_name.c_str(),
              wide(report.input_bytes), wide(report.output_bytes),
              report.is_identical ? "identical to the host's own" : "NOT what the host gets");
  std::printf("plugins     %u, all answering after %.1f ms\n\n", report.plugins, report.start_ms);
  print_times(report);
  std::printf(
      "\npage faults     plugin: %llu cold, %llu quiet; host alone: %llu quiet\n"
      "memory for the cold font: %.2f ms\n\n",
      wide(report.cold.plugin_page_faults), wide(report.quiet.plugin_page_faults),
      wide(report.quiet.local_page_faults), report.cold_loan_ms);
  std::printf(
      "small messages  %llu answered during the font's round trips (%llu in all, %llu wrong)\n",
      wide(report.small_messages), wide(report.small_in_all), wide(report.small_wrong));
  std::printf("                p50 %.1f us, p99 %.1f us\n", report.small_p50_us,
              report.small_p99_us);
  std::printf("arena           %.1f MiB virtual; resident: %.2f MiB idle, %.2f MiB at the end\n",
              mib(report.arena_virtual_bytes), mib(report.arena_idle_bytes),
              mib(report.arena_resident_bytes));
}

void print_json(const FontReport& report) {
  const nlohmann::ordered_json object = {
      {"input_bytes", report.input_bytes},
      {"output_bytes", report.output_bytes},
      {"identical", report.is_identical},
      {"plugin_ms", rounded(report.quiet.plugin_ms)},
      {"local_ms", rounded(report.quiet.local_ms)},
      {"overhead_ms", rounded(report.quiet.overhead_ms)},
      {"small_messages", report.small_messages},
      {"small_p50_us", rounded(report.small_p50_us)},
      {"small_p99_us", rounded(report.small_p99_us)},
      {"arena_virtual_bytes", report.arena_virtual_bytes},
      {"arena_resident_bytes", report.arena_resident_bytes},
      {"plugins", report.plugins},
  };
  std::cout << object.dump(2) << '\n';
}

}  // namespace example
