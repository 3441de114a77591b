// SPDX-License-Identifier: MIT
#include "joining.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "mews/os/named_memory.hpp"
#include "mews/os/socket.hpp"
#include "names.hpp"

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// A seat that a host has offered, and the socket on which it waits for the confirmation.
struct Offered {
  os::UniqueFd socket;
  Invitation invitation;
};

// Asks the host that listens at `address` for a seat in its arena.
Result<Offered> ask_at(const std::string& address, const AttachOptions& options,
                       Deadline deadline) {
  auto socket = os::connect_unix(address, deadline);
  if (!socket) return tl::unexpected(std::move(socket.error()));
  // Abstract addresses are open to all: another user may listen here.
  const auto host = os::peer_credentials(socket->get());
  if (!host) return tl::unexpected(host.error());
  if (host->uid != ::geteuid()) {
    return fail(ErrorCode::permission_denied, fmt::format("user {} listens at {}; this is user {}",
                                                          host->uid, address, ::geteuid()));
  }
  auto invitation = ask_for_seat(socket->get(), options.as, deadline);
  if (!invitation) return tl::unexpected(std::move(invitation.error()));
  return Offered{std::move(*socket), std::move(*invitation)};
}

Result<Offered> find_at(const AttachOptions& options, Deadline deadline) {
  auto offered = ask_at(options.socket, options, deadline);
  if (offered && !offered->invitation.arena.is_sealed()) {
    return fail(ErrorCode::not_an_arena, "the arena of the host at " + options.socket +
                                             " can be truncated; join a named arena by its name");
  }
  return offered;
}

/// One look at a name. An outcome is not final if a host that comes or goes may change it.
struct Look {
  Result<Offered> offered;
  bool is_final = true;
};

Look not_yet(Error error) {
  return {tl::unexpected(std::move(error)), false};
}
Look final_error(Error error) {
  return {tl::unexpected(std::move(error)), true};
}

// Looks at the memory first, so that each mistake gets its own error: no such memory, no
// permission, not an arena, a dead host's arena. Only then asks the living host for a seat.
Look look_at_name(const AttachOptions& options, Deadline deadline) {
  auto file = os::MemoryFile::open_named(memory_name(options.name));
  if (!file) return final_error(std::move(file.error()));
  const bool is_owned = os::NamedMemory::is_owned(*file);
  const auto arena = mem::Arena::attach(std::move(*file), std::chrono::seconds(0));
  if (!arena) {
    const bool is_final = arena.error().code() != ErrorCode::not_ready;
    return {tl::unexpected(arena.error()), is_final};
  }
  if (!is_owned) {
    return final_error(
        Error(ErrorCode::host_died,
              fmt::format("the arena \"{}\" was left by a dead host, process {}; the next "
                          "create of that name replaces it",
                          options.name, arena->geometry().host_pid)));
  }
  auto offered = ask_at(socket_of_name(options.name), options, deadline);
  if (!offered) {
    const auto code = offered.error().code();
    if (code == ErrorCode::no_such_arena) {
      return not_yet(Error(ErrorCode::timed_out,
                           "the host of \"" + options.name + "\" lives, but does not listen"));
    }
    return {tl::unexpected(std::move(offered.error())), code != ErrorCode::host_died};
  }
  if (!offered->invitation.arena.is_same_as(arena->file())) {
    return not_yet(
        Error(ErrorCode::timed_out, "the host of \"" + options.name + "\" is being replaced"));
  }
  return {std::move(offered), true};
}

Result<Offered> find_named(const AttachOptions& options, Deadline deadline) {
  bool has_seen_one = false;
  for (auto pause = std::chrono::milliseconds(1);;
       pause = std::min(2 * pause, decltype(pause)(20))) {
    auto look = look_at_name(options, deadline);
    if (look.offered) return std::move(look.offered);
    // An arena that was there before is being replaced, or has just gone: another one may come.
    const bool is_gone = look.offered.error().code() == ErrorCode::no_such_arena;
    const bool is_final = look.is_final && !(is_gone && has_seen_one);
    if (is_final || deadline.has_passed()) return std::move(look.offered);
    has_seen_one = true;
    std::this_thread::sleep_for(std::min<Deadline::Clock::duration>(pause, deadline.left()));
  }
}

}  // namespace

std::optional<Error> check_options(const AttachOptions& options) {
  if (!options.name.empty() && !options.socket.empty()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("socket is {} and name is {}: set only one of them", options.socket,
                             options.name));
  }
  if (!options.name.empty()) {
    if (auto bad = check_name(options.name)) return bad;
  }
  return options.as.empty() ? std::nullopt : check_name(options.as, "as");
}

Result<std::unique_ptr<GuestCore>> join_host(const AttachOptions& options, Deadline deadline) {
  auto offered = options.name.empty() ? find_at(options, deadline) : find_named(options, deadline);
  if (!offered) return tl::unexpected(std::move(offered.error()));
  auto guest = GuestCore::join(std::move(offered->invitation), nullptr, options.local, deadline);
  // Last step: if an earlier step fails, nobody is in the seat, and the host sees the socket close.
  if (guest) confirm_seat(offered->socket.get(), deadline);
  return guest;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
