// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace example {

/// What font_host measured. Times are medians, but for the cold ones, which happen once.
struct FontReport {
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  bool is_identical = false;  ///< every round's bytes to those of the host alone
  std::uint32_t rounds = 0;

  struct Trip {
    double total_ms = 0;
    double plugin_ms = 0;
    double overhead_ms = 0;  ///< total - plugin, of each round
  };
  Trip cold;   ///< the first font, while the small plugins work
  Trip warm;   ///< the same memory again, while the small plugins work
  Trip quiet;  ///< warm, while the small plugins sleep
  double cold_loan_ms = 0;
  std::uint64_t cold_page_faults = 0;
  std::uint64_t warm_page_faults = 0;
  double local_cold_ms = 0;
  double local_ms = 0;  ///< the host alone, into warm memory, while all plugins sleep

  std::uint64_t small_messages = 0;  ///< sent during the font's round trips, and answered
  std::uint64_t small_in_all = 0;
  std::uint64_t small_wrong = 0;
  double small_p50_us = 0;
  double small_p99_us = 0;

  std::uint32_t plugins = 0;
  double start_ms = 0;  ///< until each of them has answered once
  std::uint64_t arena_virtual_bytes = 0;
  std::uint64_t arena_idle_bytes = 0;      ///< resident, once all plugins have answered
  std::uint64_t arena_resident_bytes = 0;  ///< at the end
};

/// For a person, with a line on what each figure means.
void print_table(const FontReport& report, const std::string& font_name);

/// One object, for a program.
void print_json(const FontReport& report);

}  // namespace example
