// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compare/peers.hpp"

namespace mews::bench::compare {

/// One figure of an outcome. The first column of a case decides who is first.
struct Column {
  std::string title;  ///< with its unit
  std::string key;    ///< in the JSON
  std::function<double(const Outcome&)> value;
  bool is_more_better = false;
};

struct CaseSpec {
  std::string name;   ///< "clients/17/epoll"
  std::string title;  ///< one line above its table
  Job job;
  std::vector<Column> columns;
  std::vector<Peer> peers;
};

struct CaseOptions {
  bool is_smoke = false;
  const std::string* font = nullptr;  ///< the compressed file; null: no case of it
  std::size_t font_bytes = 0;         ///< decompressed
};

/// All, in the order of the page.
[[nodiscard]] std::vector<CaseSpec> all_cases(const CaseOptions& options);

}  // namespace mews::bench::compare
