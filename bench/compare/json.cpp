// SPDX-License-Identifier: MIT
#include <ctime>
#include <fstream>

#include "compare/report.hpp"

namespace mews::bench::compare {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return out + "\"";
}

void write_medians(std::FILE* file, const CaseSpec& spec, const Medians& medians) {
  std::fprintf(file, "{\"runs\": %zu", medians.runs);
  for (std::size_t i = 0; i < medians.figures.size(); ++i) {
    std::fprintf(file, ", %s: %.6g", quoted(spec.columns[i].key).c_str(), medians.figures[i]);
  }
  std::fprintf(file, "}");
}

void write_row(std::FILE* file, const CaseSpec& spec, const Row& row) {
  std::fprintf(file, "        {\"peer\": %s, \"is_limit\": %s", quoted(row.peer).c_str(),
               row.is_limit ? "true" : "false");
  if (!row.refusal.empty()) {
    std::fprintf(file, ", \"left_out\": %s", quoted(row.refusal).c_str());
  }
  if (row.has_failed) std::fprintf(file, ", \"left_out\": \"failed\"");
  if (!row.runs.empty()) {
    std::fprintf(file, ", \"all\": ");
    write_medians(file, spec, medians_of(row, std::nullopt));
    for (std::size_t i = 0; i < kPlacements; ++i) {
      const auto medians = medians_of(row, static_cast<Placement>(i));
      if (medians.runs == 0) continue;
      std::fprintf(file, ", %s: ", quoted(std::string(kPlacementNames[i])).c_str());
      write_medians(file, spec, medians);
    }
  }
  std::fprintf(file, "}");
}

void write_series(std::FILE* file, const Series& series) {
  const auto& spec = *series.spec;
  const auto placement = static_cast<std::size_t>(series.most_frequent());
  std::fprintf(file, "    {\n      \"case\": %s,\n      \"title\": %s,\n",
               quoted(spec.name).c_str(), quoted(spec.title).c_str());
  std::fprintf(
      file, "      \"placement\": %s,\n      \"decides\": %s,\n      \"is_more_better\": %s,\n",
      quoted(std::string(kPlacementNames[placement])).c_str(), quoted(spec.columns[0].key).c_str(),
      spec.columns[0].is_more_better ? "true" : "false");
  std::fprintf(file, "      \"rows\": [\n");
  for (std::size_t i = 0; i < series.rows.size(); ++i) {
    write_row(file, spec, series.rows[i]);
    std::fprintf(file, i + 1 < series.rows.size() ? ",\n" : "\n");
  }
  std::fprintf(file, "      ]\n    }");
}

}  // namespace

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

bool write_json(const std::string& path, const std::string& command,
                const std::vector<Series>& all) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  char date[16];
  const auto now = std::time(nullptr);
  std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
  std::fprintf(file, "{\n  \"command\": %s,\n  \"date\": \"%s\",\n  \"processor\": %s,\n",
               quoted(command).c_str(), date, quoted(processor_name()).c_str());
  std::fprintf(file, "  \"cases\": [\n");
  for (std::size_t i = 0; i < all.size(); ++i) {
    write_series(file, all[i]);
    std::fprintf(file, i + 1 < all.size() ? ",\n" : "\n");
  }
  std::fprintf(file, "  ]\n}\n");
  return std::fclose(file) == 0;
}

}  // namespace mews::bench::compare
