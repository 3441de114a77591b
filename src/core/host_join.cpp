// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <new>

#include "admission.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

// Plugins that the host did not start: they ask at a socket, or live in the host's own process.
namespace mews::inline MEWS_LAYOUT::detail {
namespace {

// Returns a function object that removes the path of a listening socket, unless another file has
// taken its place.
ScopeExit removal_of_socket(const std::string& address) {
  if (address.starts_with('@')) return {};
  std::error_code ignored;
  const auto path = std::filesystem::absolute(address, ignored);
  struct stat ours {};
  if (::lstat(path.c_str(), &ours) != 0) return {};
  return ScopeExit([path, ours] {
    struct stat there {};
    if (::lstat(path.c_str(), &there) == 0 && there.st_dev == ours.st_dev &&
        there.st_ino == ours.st_ino) {
      ::unlink(path.c_str());
    }
  });
}

}  // namespace

Result<void> HostCore::listen(const std::string& address) {
  {
    const Lock lock(mutex_);
    if (auto open = check_open(); !open) return open;
    if (is_listening_) return fail(ErrorCode::invalid_argument, "this session listens already");
    is_listening_ = true;
  }
  // Without the mutex: a path may block on the lock of its folder.
  auto listening = open_door(address);
  if (listening) return {};
  const Lock lock(mutex_);
  is_listening_ = false;
  return listening;
}

Result<void> HostCore::open_door(const std::string& address) try {
  auto listener = os::listen_unix(address);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  auto removal = removal_of_socket(address);
  auto admission = Admission::make(*this, std::move(*listener));
  if (!admission) return tl::unexpected(std::move(admission.error()));
  const Lock lock(mutex_);
  admission_ = std::move(*admission);
  remove_socket_ = std::move(removal);
  return {};
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);
}

Result<HostCore::PluginParts> HostCore::admit(Deadline deadline, const std::stop_token& stop) {
  auto* const admission = [this] {
    const Lock lock(mutex_);
    return admission_.get();
  }();
  if (admission == nullptr) return fail(ErrorCode::invalid_argument, "admit() without listen()");
  return admission->admit(deadline, stop);
}

Result<HostCore::PluginParts> HostCore::admit_process(const std::shared_ptr<PluginCore>& plugin,
                                                      pid_t pid, os::UniqueFd watched) {
  if (auto open = check_open(); !open) return tl::unexpected(std::move(open.error()));
  if (auto room = check_room(); !room) return tl::unexpected(std::move(room.error()));
  auto lease = std::make_shared<ChannelLease>();
  auto process = invite(plugin->name);
  if (!process) return tl::unexpected(std::move(process.error()));
  SeatGuard guard(*this, **process);
  (*process)->pid = pid;
  (*process)->watched = std::move(watched);
  plugin->current = *process;
  if (auto watching = watch_process(plugin, *process); !watching) {
    return tl::unexpected(std::move(watching.error()));
  }
  guard.keep();
  plugins_.push_back(plugin);
  lease->begin(*this, *process);
  return PluginParts{plugin, std::move(*process), ChannelLease::hand_out(std::move(lease))};
}

Result<HostCore::Local> HostCore::connect(const std::string& name) {
  if (auto bad = check_name(name)) return tl::unexpected(std::move(*bad));
  auto host_pidfd = os::duplicate(own_pidfd_.get());
  if (!host_pidfd) return tl::unexpected(std::move(host_pidfd.error()));
  auto plugin = std::make_shared<PluginCore>();
  plugin->name = name;
  plugin->host = weak_from_this();
  auto parts = [&] {
    const Lock lock(mutex_);
    return admit_process(plugin, ::getpid(), {});
  }();
  if (!parts) return tl::unexpected(std::move(parts.error()));
  const auto process = parts->process;
  return Local{.parts = std::move(*parts),
               .invitation = {.peer = process->peer,
                              .epoch = process->epoch,
                              .arena = {},
                              .host_pidfd = std::move(*host_pidfd),
                              .wake = std::move(process->wake)}};
}

}  // namespace mews::inline MEWS_LAYOUT::detail
