// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace example {

/// What font_host measured.
struct FontReport {
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  bool is_identical = true;  ///< every round's bytes to those of the host alone
  std::uint32_t rounds = 0;

  /// A round is a pair: the host alone, then the plugin. Medians, also of the differences.
  struct Times {
    double total_ms = 0;     ///< the round trip
    double plugin_ms = 0;    ///< of it, inside the plugin
    double local_ms = 0;     ///< the host alone, into memory of its own
    double overhead_ms = 0;  ///< round trip - host alone
    double message_ms = 0;   ///< round trip - inside the plugin
    std::uint64_t plugin_page_faults = 0;
    std::uint64_t local_page_faults = 0;  ///< of the whole host
  };
  Times cold;   ///< one round, into memory that nobody has touched; the small plugins work
  Times busy;   ///< into the same memory again; the small plugins work
  Times quiet;  ///< into the same memory again; the small plugins sleep
  double cold_loan_ms = 0;

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

/// One object, for a program; its times are those of the quiet rounds.
void print_json(const FontReport& report);

}  // namespace example
