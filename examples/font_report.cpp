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

void print_trips(const FontReport& report) {
  const auto& cold = report.cold;
  const auto& warm = report.warm;
  const auto& quiet = report.quiet;
  const auto row = [](const char* name, double first, double second, double third) {
    std::printf("  %-34s %9.2f %9.2f %9.2f\n", name, first, second, third);
  };
  std::printf("%-36s %9s %9s %9s\n", "milliseconds", "cold", "warm", "quiet");
  row("round trip", cold.total_ms, warm.total_ms, quiet.total_ms);
  row("  time inside the plugin", cold.plugin_ms, warm.plugin_ms, quiet.plugin_ms);
  row("  overhead: the rest", cold.overhead_ms, warm.overhead_ms, quiet.overhead_ms);
  row("the host alone, no messages", report.local_cold_ms, report.local_ms, report.local_ms);
  row("round trip - host alone", cold.total_ms - report.local_cold_ms,
      warm.total_ms - report.local_ms, quiet.total_ms - report.local_ms);
  std::printf("  %-34s %9s %8.2f%% %8.2f%%\n", "overhead / host alone", "",
              100 * warm.overhead_ms / report.local_ms, 100 * quiet.overhead_ms / report.local_ms);
  std::printf(
      "  cold: the first font, into memory that no one has touched; median of %u rounds "
      "otherwise.\n"
      "  warm: the same memory again, sixteen plugins answering. quiet: warm, they sleep.\n"
      "  The host alone always runs while they sleep, so in `warm` the last but one line is also\n"
      "  what sharing the processors with them costs.\n",
      report.rounds);
}

}  // namespace

void print_table(const FontReport& report, const std::string& font_name) {
  std::printf("font        %s: %llu to %llu bytes, %s\n", font_name.c_str(),
              wide(report.input_bytes), wide(report.output_bytes),
              report.is_identical ? "identical to the host's own" : "NOT what the host gets");
  std::printf("plugins     %u, all answering after %.1f ms\n\n", report.plugins, report.start_ms);
  print_trips(report);
  std::printf(
      "\npage faults of the plugin: %llu cold, %llu warm; memory for the cold font: %.2f ms\n",
      wide(report.cold_page_faults), wide(report.warm_page_faults), report.cold_loan_ms);
  std::printf(
      "cold - warm: %.2f ms in the plugin (its pages, and its first run), "
      "%.2f ms in the host alone\n\n",
      report.cold.plugin_ms - report.warm.plugin_ms, report.local_cold_ms - report.local_ms);
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
      {"plugin_ms", rounded(report.warm.plugin_ms)},
      {"local_ms", rounded(report.local_ms)},
      {"overhead_ms", rounded(report.warm.overhead_ms)},
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
