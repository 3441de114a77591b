// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/random.h>
#include <unistd.h>

#include <cstring>

#include "admission.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

using layout::PeerState;
using layout::SeatWord;

namespace {

Result<layout::Geometry> plan(const CreateOptions& options) {
  std::vector<layout::ClassPlan> rows;
  for (const auto& row : options.size_classes)
    rows.push_back({row.slab_bytes, row.slab_count});
  // Two seats for each plugin: the last messages of a dead process may still wait in its seat,
  // while the next process is in the other one.
  constexpr auto kMostPlugins = (layout::kMaxPeers - 1) / 2;
  if (options.max_plugins == 0 || options.max_plugins > kMostPlugins) {
    return fail(ErrorCode::invalid_argument, fmt::format("max_plugins is {}, not from 1 to {}",
                                                         options.max_plugins, kMostPlugins));
  }
  auto check = layout::plan_geometry({.peer_capacity = 2 * options.max_plugins + 1,
                                      .ring_cells = options.ring_cells,
                                      .fallback_classes = options.fallback_classes,
                                      .classes = rows,
                                      .reply_slabs = options.reply_slabs});
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

void fill_host_entry(const mem::Arena& arena, const std::string& name) {
  auto& entry = arena.peer(kHostPeer);
  std::strncpy(entry.name, name.c_str(), sizeof entry.name - 1);
  // Relaxed, all: published with the seat, below.
  entry.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
  entry.start_time.store(arena.geometry().host_start_time, std::memory_order_relaxed);
  entry.seats_used.store(1, std::memory_order_relaxed);
  // Release: the registration before it. Partner: `ChannelCore::fence` in a plugin, which may use
  // the light fence from then on.
  entry.fences.store(os::register_light_fence() ? 1 : 0, std::memory_order_release);
  // Release: the entry above, before the seat word that shows it in use. Plugins read both later:
  // they are invited afterwards.
  entry.seat.store(SeatWord{PeerState::attached}.pack(), std::memory_order_release);
}

}  // namespace

HostCore::HostCore(std::shared_ptr<PeerContext> session, std::unique_ptr<Reactor> reactor,
                   os::UniqueFd own_pidfd, const CreateOptions& options)
    : session_(std::move(session)),
      local_(options.local),
      max_plugins_(options.max_plugins),
      own_pidfd_(std::move(own_pidfd)),
      is_named_(options.backing == Backing::named),
      reactor_(std::move(reactor)),
      seats_(session_->arena().geometry().peer_capacity) {
  seats_[kHostPeer.value()].is_taken = true;
}

Result<std::shared_ptr<HostCore>> HostCore::create(const CreateOptions& options) {
  if (auto bad = check_name(options.name)) return tl::unexpected(std::move(*bad));
  auto geometry = plan(options);
  if (!geometry) return tl::unexpected(std::move(geometry.error()));
  const bool is_named = options.backing == Backing::named;
  auto owned = is_named ? os::NamedMemory::own(memory_name(options.name), geometry->arena_bytes)
                        : os::NamedMemory();
  if (!owned) return tl::unexpected(std::move(owned.error()));
  auto file = is_named
                  ? owned->take_file()
                  : os::MemoryFile::create_anonymous("mews-" + options.name, geometry->arena_bytes);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto arena = mem::Arena::create(std::move(*file), *geometry);
  if (!arena) return tl::unexpected(std::move(arena.error()));
  if (is_named) {
    // /dev/shm can be full. Memory that is written unasked must be committed, or SIGBUS follows.
    if (auto committed = arena->commit_control(); !committed) {
      return tl::unexpected(std::move(committed.error()));
    }
  }
  auto shared = std::make_shared<const mem::Arena>(std::move(*arena));
  fill_host_entry(*shared, options.name);
  auto pidfd = os::open_pidfd(::getpid());
  if (!pidfd) return tl::unexpected(std::move(pidfd.error()));
  auto reactor = Reactor::make(options.local.watcher);
  if (!reactor) return tl::unexpected(std::move(reactor.error()));
  std::shared_ptr<HostCore> host(
      new HostCore(PeerContext::make(std::move(shared), kHostPeer, options.local),
                   std::move(*reactor), std::move(*pidfd), options));
  if (auto watching = host->watch_loops(); !watching) {
    return tl::unexpected(std::move(watching.error()));
  }
  if (is_named) {
    host->name_ = std::move(*owned);
    if (auto opened = host->open_named_door(options.name); !opened) {
      return tl::unexpected(std::move(opened.error()));
    }
  }
  return host;
}

// The owner of the memory's name also owns the path of its socket: a file there is a dead host's.
Result<void> HostCore::open_named_door(const std::string& name) {
  const auto path = socket_of_name(name);
  auto listener = os::listen_at_own_path(path);
  if (!listener) return tl::unexpected(std::move(listener.error()));
  remove_socket_ = ScopeExit([path] { ::unlink(path.c_str()); });
  auto admission = Admission::make(*this, std::move(*listener));
  if (!admission) return tl::unexpected(std::move(admission.error()));
  admission_ = std::move(*admission);
  is_listening_ = true;
  return {};
}

HostCore::~HostCore() {
  reactor_->stop();
  for (const auto& process : unburied_) {
    if (auto child = os::duplicate(process->watched.get())) os::bury_later(std::move(*child));
  }
  // Before our ends of the channels close: a plugin that sees them close finds the seat `left`.
  leave();
}

// Plugins may live on, and so may this process. Each waiter in a plugin, for room, a message or a
// slab, learns that none will come.
void HostCore::leave() noexcept {
  for (const auto& plugin : plugins_) {
    if (plugin->current && plugin->current->channel) plugin->current->channel->leave();
  }
  session_->leave();
}

}  // namespace mews::inline MEWS_LAYOUT::detail
