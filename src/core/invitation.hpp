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

/// Offers of seats. A spawned plugin gets its offer by environment and inherited descriptors, a
/// plugin that joins by a packet over a Unix socket.
namespace mews::inline MEWS_LAYOUT::detail {

/// A seat offered by the host, on the plugin's side: owns its descriptors.
struct Invitation {
  PeerId peer{};
  std::uint32_t epoch = 0;
  os::MemoryFile arena;
  os::UniqueFd host_pidfd;
  os::PluginWakeFds wake;
  bool is_spawned = false;  ///< valid only in the process that the host started
};

inline constexpr const char* kInvitationVariable = "MEWS_ARENA";

/// The same on the host's side: borrowed descriptors.
struct SeatOffer {
  PeerId peer{};
  std::uint32_t epoch = 0;
  int arena = -1;
  int host_pidfd = -1;
  int stream = -1;  ///< of os::PluginWakeFds
  int event = -1;
};

/// Returns "MEWS_ARENA=fd:pidfd:stream:event:peer:epoch:device:inode" for a child that inherits
/// these descriptors. Device and inode are the arena's: other processes inherit the variable
/// without the descriptors, and may have other files under these numbers.
[[nodiscard]] std::string to_environment(const SeatOffer& seat);

/// A turn at the inherited invitation. One object at a time has the turn. Once one has used it up,
/// no other gets it: the seat is for one session. Any thread.
class InheritedTurn {
 public:
  InheritedTurn() noexcept = default;
  InheritedTurn(const InheritedTurn&) = delete;
  InheritedTurn& operator=(const InheritedTurn&) = delete;
  ~InheritedTurn();
  /// Gets the turn and reads the variable. Returns an invitation with its own copies of the
  /// descriptors; the inherited ones become close-on-exec and stay for another turn.
  /// `no_such_arena` when there is no variable, its descriptors are not here, or another object has
  /// the turn or has used it up.
  [[nodiscard]] Result<Invitation> take();
  /// Ends the last turn, once the seat is taken: closes the inherited descriptors. Does nothing
  /// without a turn.
  void use_up() noexcept;

 private:
  bool has_turn_ = false;
  std::array<int, 4> fds_{-1, -1, -1, -1};
};

/// The plugin's side of joining by socket: says its name, gets the offer of a seat. If a later step
/// fails, the host sees the socket close and withdraws the offer.
[[nodiscard]] Result<Invitation> ask_for_seat(int socket, const std::string& name,
                                              Deadline deadline);
/// The plugin's last step: confirms that it has taken the seat.
void confirm_seat(int socket, Deadline deadline) noexcept;

/// The host's side: returns the name in a greeting; empty in a confirmation.
[[nodiscard]] Result<std::string> receive_hello(int socket, Deadline deadline);
[[nodiscard]] Result<void> offer_seat(int socket, const SeatOffer& seat, Deadline deadline);
[[nodiscard]] Result<void> refuse_seat(int socket, ErrorCode why, Deadline deadline);

}  // namespace mews::inline MEWS_LAYOUT::detail
