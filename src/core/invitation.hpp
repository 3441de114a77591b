// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/os/wake.hpp"

/// How a process learns of its place in an arena: by environment and inherited descriptors (a
/// spawned plugin), or by a packet over a Unix socket (one that joins).
namespace mews::inline MEWS_LAYOUT::detail {

/// A seat offered by the host, as the plugin gets it.
struct Invitation {
  PeerId peer{};
  std::uint32_t epoch = 0;
  os::MemoryFile arena;
  os::UniqueFd host_pidfd;
  os::PluginWakeFds wake;
  bool is_spawned = false;  ///< for the process alone that the host has started
};

inline constexpr const char* kInvitationVariable = "MEWS_ARENA";

/// The same, as the host has it: borrowed descriptors.
struct SeatOffer {
  PeerId peer{};
  std::uint32_t epoch = 0;
  int arena = -1;
  int host_pidfd = -1;
  int stream = -1;  ///< of os::PluginWakeFds
  int event = -1;
};

/// "MEWS_ARENA=fd:pidfd:stream:event:peer:epoch:device:inode" for a child that inherits these
/// descriptors. The last two are the arena's: the variable goes on to processes that do not have
/// the descriptors, but may have others by these numbers.
[[nodiscard]] std::string to_environment(const SeatOffer& seat);

/// A turn at what this process has inherited. One at a time has it, and after one has used it up
/// nobody else: the seat is for one session. Any thread.
class InheritedTurn {
 public:
  InheritedTurn() noexcept = default;
  InheritedTurn(const InheritedTurn&) = delete;
  InheritedTurn& operator=(const InheritedTurn&) = delete;
  ~InheritedTurn();
  /// Takes the turn, and reads the variable: an invitation with descriptors of its own; those
  /// inherited become close-on-exec, and stay for another turn. `no_such_arena` when there is no
  /// variable, or what it names is not here, or another has the turn or has used it up.
  [[nodiscard]] Result<Invitation> take();
  /// The invitation has been accepted: closes the inherited descriptors. Nothing without a turn.
  void use_up() noexcept;

 private:
  bool has_turn_ = false;
  std::array<int, 4> fds_{-1, -1, -1, -1};
};

/// The plugin's side of joining by socket: says its name, gets its seat. What fails from then on
/// leaves the seat to the host, which sees the socket close.
[[nodiscard]] Result<Invitation> ask_for_seat(int socket, const std::string& name,
                                              Deadline deadline);
/// Last of all, says that it sits there.
void confirm_seat(int socket, Deadline deadline) noexcept;

/// The host's side: the name the other end gives itself, when it greets and when it sits.
[[nodiscard]] Result<std::string> receive_hello(int socket, Deadline deadline);
[[nodiscard]] Result<void> offer_seat(int socket, const SeatOffer& seat, Deadline deadline);
[[nodiscard]] Result<void> refuse_seat(int socket, ErrorCode why, Deadline deadline);

}  // namespace mews::inline MEWS_LAYOUT::detail
