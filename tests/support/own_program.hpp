// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "support/shared_page.hpp"

/// A test that needs a fresh process is a hidden test of the same program; another test runs it.
namespace mews_test {

inline constexpr const char* kOwnProgram = "MEWS_TEST_OWN_PROGRAM";

/// The hidden test's report.
struct OwnProgramPage {
  std::atomic<std::uint32_t> finished{0};
  std::array<char, 200> skipped{};
};

/// The first line of a hidden test: at its end it is known to have got there. An exit code would
/// not do: it is good as well where no test ran, or one returned early.
class InOwnProgram {
 public:
  /// Throws where the program was not started by `run_own_program`.
  InOwnProgram() : page_(inherited()) {}
  InOwnProgram(const InOwnProgram&) = delete;
  InOwnProgram& operator=(const InOwnProgram&) = delete;

  /// The last line of a hidden test.
  void finish() { ++page_->finished; }
  /// Instead of the last line: names a missing thing.
  void skip(const std::string& reason) {
    std::copy_n(reason.begin(), std::min(reason.size(), page_->skipped.size() - 1),
                page_->skipped.begin());
  }

 private:
  static const char* inherited() {
    const char* path = std::getenv(kOwnProgram);
    if (path == nullptr) throw std::runtime_error("a hidden test is run by another one");
    return path;
  }
  SharedPage<OwnProgramPage> page_;
};

struct OwnProgramResult {
  std::string outcome;  ///< "passed", or what else
  std::string skipped;  ///< what is missing, or nothing
};

/// Runs the hidden test of that tag in a process of its own and waits for its end.
[[nodiscard]] inline OwnProgramResult run_own_program(const std::string& tag,
                                                      std::vector<std::string> environment,
                                                      std::chrono::seconds patience) {
  const SharedPage<OwnProgramPage> page;
  environment.emplace_back(kOwnProgram);
  environment.back().append("=").append(page.path());
  auto child = mews::os::spawn({.arguments = {"/proc/self/exe", tag},
                                .environment = std::move(environment),
                                .inherited_fds = {}});
  if (!child) return {child.error().message(), ""};
  if (!mews::os::wait_for_exit(child->pidfd.get(), patience)) {
    (void)mews::os::send_signal(child->pidfd.get(), SIGKILL);
    (void)mews::os::wait_for_exit(child->pidfd.get(), mews::forever);
    (void)mews::os::reap(child->pidfd.get());
    return {"still running", ""};
  }
  const auto status = mews::os::reap(child->pidfd.get());
  const auto outcome = status ? status->describe() : "not a child";
  if (outcome != "exit code 0") return {outcome, ""};
  const std::string skipped(page->skipped.data());
  if (page->finished == 1 || !skipped.empty()) return {"passed", skipped};
  return {"no test was run to its end", ""};
}

}  // namespace mews_test
