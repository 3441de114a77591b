// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstring>

#include "host_core.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

namespace mews::detail {
namespace {

Result<layout::Geometry> plan(const CreateOptions& options) {
  std::vector<layout::ClassPlan> rows;
  for (const auto& row : options.size_classes)
    rows.push_back({row.slab_bytes, row.slab_count});
  // Two seats each: while the last messages of a dead process wait to be received, the next one
  // sits elsewhere already.
  constexpr auto kMostPlugins = (layout::kMaxPeers - 1) / 2;
  if (options.max_plugins == 0 || options.max_plugins > kMostPlugins) {
    return fail(ErrorCode::invalid_argument, fmt::format("max_plugins is {}, not from 1 to {}",
                                                         options.max_plugins, kMostPlugins));
  }
  auto check = layout::plan_geometry({.peer_capacity = 2 * options.max_plugins + 1,
                                      .ring_cells = options.ring_cells,
                                      .fallback_classes = options.fallback_classes,
                                      .classes = rows});
  if (check.fault) return fail(ErrorCode::invalid_argument, std::move(check.fault->sentence));
  auto& geometry = check.geometry;
  if (::getrandom(geometry.arena_id, sizeof geometry.arena_id, 0) !=
      static_cast<ssize_t>(sizeof geometry.arena_id)) {
    return tl::unexpected(Error::os(errno, "getrandom"));
  }
  geometry.arena_id[0] |= 1;  // never zero
  geometry.host_pid = static_cast<std::uint32_t>(::getpid());
  geometry.host_start_time = os::process_start_time(::getpid()).value_or(0);
  return geometry;
}

// Whose listener it is, is the name's living host: the kernel takes the address back when that
// process ends, so what lies in /dev/shm besides is of a dead one and may be replaced.
Result<os::MemoryFile> make_named(const std::string& name, std::uint64_t bytes) {
  const auto memory = memory_name(name);
  auto file = os::MemoryFile::create_named(memory, bytes);
  if (file || file.error().code() != ErrorCode::already_exists) return file;
  os::MemoryFile::unlink_named(memory);
  return os::MemoryFile::create_named(memory, bytes);
}

void take_host_entry(const mem::Arena& arena, const std::string& name) {
  auto& entry = arena.peer(kHostPeer);
  std::strncpy(entry.name, name.c_str(), sizeof entry.name - 1);
  // Relaxed, all: published with the seat, below.
  entry.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
  entry.start_time.store(arena.geometry().host_start_time, std::memory_order_relaxed);
  entry.seats_used.store(1, std::memory_order_relaxed);
  // Release: a plugin that reads it may use the light fence towards us.
  entry.fences.store(os::register_light_fence() ? 1 : 0, std::memory_order_release);
  // Release: the entry above, before the seat that says that it is in use.
  entry.seat.store(layout::SeatWord{layout::PeerState::attached}.pack(), std::memory_order_release);
}

}  // namespace

HostCore::HostCore(std::shared_ptr<SessionCore> session, std::unique_ptr<Watch> watch,
                   os::UniqueFd own_pidfd, const CreateOptions& options)
    : session_(std::move(session)),
      local_(options.local),
      max_plugins_(options.max_plugins),
      own_pidfd_(std::move(own_pidfd)),
      is_named_(options.backing == Backing::named),
      watch_(std::move(watch)),
      seats_(session_->arena().geometry().peer_capacity) {
  seats_[kHostPeer.value()].is_taken = true;
  plugins_.reserve(max_plugins_);
  retired_.reserve(seats_.size());
}

Result<std::shared_ptr<HostCore>> HostCore::create(const CreateOptions& options) {
  if (auto bad = check_name(options.name)) return tl::unexpected(std::move(*bad));
  auto geometry = plan(options);
  if (!geometry) return tl::unexpected(std::move(geometry.error()));
  const bool is_named = options.backing == Backing::named;
  os::UniqueFd listener;
  AtEnd remove_name;  // on every way out, and before the listener, which keeps other hosts off
  if (is_named) {
    auto listening = os::listen_unix(socket_of_name(options.name));
    if (!listening) return tl::unexpected(std::move(listening.error()));
    listener = std::move(*listening);
  }
  auto file = is_named
                  ? make_named(options.name, geometry->arena_bytes)
                  : os::MemoryFile::create_anonymous("mews-" + options.name, geometry->arena_bytes);
  if (!file) return tl::unexpected(std::move(file.error()));
  if (is_named) {
    remove_name = AtEnd([name = memory_name(options.name)] { os::MemoryFile::unlink_named(name); });
  }
  auto arena = mem::Arena::create(std::move(*file), *geometry);
  if (!arena) return tl::unexpected(std::move(arena.error()));
  if (is_named) {
    // /dev/shm can be full; what is written without asking must be there.
    if (auto committed = arena->commit_control(); !committed) {
      return tl::unexpected(std::move(committed.error()));
    }
  }
  auto shared = std::make_shared<const mem::Arena>(std::move(*arena));
  take_host_entry(*shared, options.name);
  auto pidfd = os::open_pidfd(::getpid());
  if (!pidfd) return tl::unexpected(std::move(pidfd.error()));
  auto watch = Watch::make(options.local.watcher);
  if (!watch) return tl::unexpected(std::move(watch.error()));
  std::shared_ptr<HostCore> host(
      new HostCore(SessionCore::make(std::move(shared), kHostPeer, options.local),
                   std::move(*watch), std::move(*pidfd), options));
  if (auto watching = host->watch_loops(); !watching) {
    return tl::unexpected(std::move(watching.error()));
  }
  host->listener_ = std::move(listener);
  host->remove_memory_name_ = std::move(remove_name);
  return host;
}

HostCore::~HostCore() {
  watch_->stop();
  for (const auto& process : unburied_) {
    if (auto child = os::duplicate(process->watched.get())) os::bury_later(std::move(*child));
  }
  leave();
}

// Plugins may live on, and so may this process: whoever waits there for room, a message or a slab
// is told that none will come.
void HostCore::leave() noexcept {
  for (const auto& plugin : plugins_) {
    if (plugin->current && plugin->current->channel) plugin->current->channel->leave();
  }
  session_->leave();
}

}  // namespace mews::detail
