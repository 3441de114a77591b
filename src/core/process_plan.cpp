// SPDX-License-Identifier: MIT
#include "process_plan.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

constexpr int kLeastNice = -20;
constexpr int kMostNice = 19;
constexpr int kSignals = 64;

Result<os::UniqueFd> open_stream(const StandardStream& stream, const char* what) {
  if (stream.is_inherited()) return os::UniqueFd();
  if (stream.is_null()) {
    auto null = os::own_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return tl::unexpected(Error::os(errno, "open", "/dev/null"));
    return null;
  }
  if (stream.fd() < 0 || ::fcntl(stream.fd(), F_GETFD) < 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: descriptor {} is not open", what, stream.fd()));
  }
  return os::duplicate(stream.fd());
}

Result<void> check(const ProcessOptions& options) {
  if (options.nice && (*options.nice < kLeastNice || *options.nice > kMostNice)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("nice is {}, not from {} to {}", *options.nice, kLeastNice, kMostNice));
  }
  if (options.parent_death_signal < 0 || options.parent_death_signal > kSignals) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("parent_death_signal is {}, which is not a signal",
                            options.parent_death_signal));
  }
  return {};
}

os::ChildGroup group_of(ProcessGroup group) noexcept {
  switch (group) {
    case ProcessGroup::own_group:
      return os::ChildGroup::own_group;
    case ProcessGroup::own_session:
      return os::ChildGroup::own_session;
    case ProcessGroup::inherited:
      break;
  }
  return os::ChildGroup::inherited;
}

}  // namespace

Result<ProcessPlan> plan_process(const std::vector<std::string>& command,
                                 const PluginOptions& options) {
  const auto& process = options.process;
  if (auto checked = check(process); !checked) return tl::unexpected(std::move(checked.error()));
  ProcessPlan plan;
  auto& child = plan.options;
  child.arguments = command;
  child.environment = options.environment;
  child.inherited_fds = process.inherited_fds;
  child.base_environment = process.base_environment == BaseEnvironment::inherited
                               ? os::environment()
                               : std::vector<std::string>{};
  child.search_path = os::search_path();
  child.working_directory = process.working_directory;
  child.group = group_of(process.group);
  for (const auto& limit : process.limits)
    child.limits.push_back({limit.resource, limit.soft, limit.hard});
  child.nice = process.nice;
  child.parent_death_signal = process.parent_death_signal;
  const std::array<std::pair<const StandardStream*, const char*>, 3> streams{
      {{&process.standard_input, "standard_input"},
       {&process.standard_output, "standard_output"},
       {&process.standard_error, "standard_error"}}};
  for (std::size_t i = 0; i < streams.size(); ++i) {
    auto stream = open_stream(*streams[i].first, streams[i].second);
    if (!stream) return tl::unexpected(std::move(stream.error()));
    plan.streams[i] = std::move(*stream);
    child.standard_fds[i] = plan.streams[i].get();
  }
  return plan;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
