// SPDX-License-Identifier: MIT
#include "mews/os/spawn.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "start.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

std::string_view name_of(std::string_view variable) noexcept {
  return variable.substr(0, variable.find('='));
}

/// Returns the variables of `merged` but for those that `added` names, and then `added`.
std::vector<std::string> merged_environment(std::vector<std::string> merged,
                                            const std::vector<std::string>& added) {
  for (const auto& variable : added) {
    std::erase_if(merged, [&](const auto& old) { return name_of(old) == name_of(variable); });
    merged.push_back(variable);
  }
  return merged;
}

bool has_nul(const std::string& text) noexcept {
  return text.find('\0') != std::string::npos;
}

Result<void> check_descriptors(const SpawnOptions& options) {
  const auto is_open = [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; };
  const auto not_open = [](int fd) {
    return fail(ErrorCode::invalid_argument, fmt::format("spawn: descriptor {} is not open", fd));
  };
  for (const int fd : options.inherited_fds) {
    if (!is_open(fd)) return not_open(fd);
  }
  for (const int fd : options.standard_fds) {
    if (fd >= 0 && !is_open(fd)) return not_open(fd);
  }
  return {};
}

Result<void> check(const SpawnOptions& options) {
  const auto invalid = [](std::string detail) {
    return fail(ErrorCode::invalid_argument, "spawn: " + std::move(detail));
  };
  if (options.arguments.empty() || options.arguments[0].empty()) return invalid("no program named");
  if (std::ranges::any_of(options.arguments, has_nul)) return invalid("an argument holds a NUL");
  if (has_nul(options.working_directory)) return invalid("the working directory holds a NUL");
  for (const auto& variable : options.environment) {
    const auto name = name_of(variable);
    if (name.empty() || name.size() == variable.size() || has_nul(variable))
      return invalid(fmt::format("'{}' is not NAME=value", variable));
  }
  return check_descriptors(options);
}

/// The paths that execvpe(3) would try.
std::vector<std::string> paths_of(const std::string& program, std::string_view search_path) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> paths;
  for (;;) {
    const auto end = search_path.find(':');
    const auto folder = search_path.substr(0, end);
    // An empty entry is the working directory.
    paths.push_back(folder.empty() ? "./" + program : std::string(folder) + "/" + program);
    if (end == std::string_view::npos) return paths;
    search_path.remove_prefix(end + 1);
  }
}

/// Blocks all signals of the calling thread while this object lives.
class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;
  ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  return variables;
}

std::string search_path() {
  const char* path = std::getenv("PATH");
  return path != nullptr ? path : "/bin:/usr/bin";
}

Result<std::unique_ptr<Start>> Start::prepare(SpawnOptions options) {
  if (auto checked = check(options); !checked) return tl::unexpected(std::move(checked.error()));
  std::unique_ptr<Start> start(new Start(std::move(options)));
  auto& given = start->options_;
  start->variables_ = merged_environment(
      given.base_environment ? std::move(*given.base_environment) : environment(),
      given.environment);
  start->programs_ = paths_of(start->program(), given.search_path.value_or(os::search_path()));
  start->plan();
  return start;
}

Result<Child> spawn(SpawnOptions options) {
  auto start = Start::prepare(std::move(options));
  if (!start) return tl::unexpected(std::move(start.error()));
  ChildStack stack;
  {
    const SignalBlock block;
    (*start)->run(stack);
  }
  return (*start)->finish();
}

}  // namespace mews::inline MEWS_LAYOUT::os
