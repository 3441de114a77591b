// SPDX-License-Identifier: MIT
#include "invitation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "mews/layout/limits.hpp"
#include "mews/layout/peer_entry.hpp"
#include "mews/os/socket.hpp"
#include "texts.hpp"

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

struct Hello {
  std::uint64_t magic;
  std::uint32_t layout_major;
  char name[layout::kPeerNameBytes];
  std::uint32_t reserved;
};

struct Offer {
  std::uint64_t magic;
  std::uint32_t layout_major;
  std::uint32_t refusal;  ///< 0: welcome; otherwise 1 + an ErrorCode
  std::uint32_t peer;
  std::uint32_t epoch;
};
constexpr std::size_t kOfferFds = 4;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

// All layout versions begin a packet with magic and version; the rest depends on the version.
template <class T>
Result<T> read_packet(std::span<const std::byte> packet, const char* what) {
  static_assert(offsetof(T, magic) == 0 && offsetof(T, layout_major) == 8);
  const auto bytes = packet.size();
  const auto wrong_size = [&] {
    return fail(ErrorCode::not_an_arena,
                fmt::format("{} has {} bytes, not {}", what, bytes, sizeof(T)));
  };
  T value{};
  if (bytes < offsetof(T, layout_major) + sizeof value.layout_major) return wrong_size();
  std::memcpy(&value, packet.data(), std::min(bytes, sizeof value));
  if (value.magic != layout::kMagic) {
    return fail(ErrorCode::not_an_arena, fmt::format("{} is not a mews packet", what));
  }
  if (value.layout_major != layout::kLayoutMajor) {
    return fail(ErrorCode::version_mismatch,
                fmt::format("{} is of layout {}, this library knows {}", what, value.layout_major,
                            layout::kLayoutMajor));
  }
  if (bytes != sizeof value) return wrong_size();
  return value;
}

/// Returns why there is no seat, when the socket only timed out or closed.
Error no_seat(Error error) {
  switch (error.code()) {
    case ErrorCode::timed_out:
      return Error(ErrorCode::timed_out, "the host listens but did not call admit()");
    case ErrorCode::closed:
      return Error(ErrorCode::host_died, "it hung up before it gave a seat");
    default:
      return error;
  }
}

enum class Inheritance { unused, in_turn, used };
// word         writer         readers        publish / observe                   protects
// inheritance  InheritedTurn  InheritedTurn  [T1] release, end / [T2] acquire,   the inherited
//                                            begin of a turn                     descriptors
constinit std::atomic<Inheritance> inheritance{Inheritance::unused};

struct Variable {
  std::array<int, 4> fds{};
  std::uint32_t peer = 0;
  std::uint32_t epoch = 0;
};

/// Reads the variable, and checks that its descriptors are here: no other file may be touched.
Result<Variable> read_variable() {
  const char* text = std::getenv(kInvitationVariable);
  if (text == nullptr) {
    return fail(ErrorCode::no_such_arena,
                fmt::format("the environment has no {}; start this program by Session::spawn, or "
                            "attach by socket or name",
                            kInvitationVariable));
  }
  Variable read;
  auto& fds = read.fds;
  unsigned long long device = 0;
  unsigned long long inode = 0;
  char rest = 0;
  if (std::sscanf(text, "%d:%d:%d:%d:%u:%u:%llu:%llu%c", &fds[0], &fds[1], &fds[2], &fds[3],
                  &read.peer, &read.epoch, &device, &inode, &rest) != 8) {
    return fail(ErrorCode::no_such_arena,
                fmt::format("{}=\"{}\" is not valid: only a host sets this variable",
                            kInvitationVariable, text));
  }
  struct stat arena {};
  const bool is_open = std::ranges::all_of(fds, [](int fd) { return ::fcntl(fd, F_GETFD) >= 0; });
  if (!is_open || ::fstat(fds[0], &arena) != 0 || arena.st_dev != device || arena.st_ino != inode) {
    return fail(
        ErrorCode::no_such_arena,
        fmt::format("{}=\"{}\", but these descriptors are closed or refer to other files: only the "
                    "process that the host spawned has them; attach by socket or name",
                    kInvitationVariable, text));
  }
  return read;
}

}  // namespace

std::string to_environment(const SeatOffer& seat) {
  struct stat arena {};
  (void)::fstat(seat.arena, &arena);
  return fmt::format("{}={}:{}:{}:{}:{}:{}:{}:{}", kInvitationVariable, seat.arena, seat.host_pidfd,
                     seat.stream, seat.event, seat.peer.value(), seat.epoch, arena.st_dev,
                     arena.st_ino);
}

InheritedTurn::~InheritedTurn() {
  // [T1] release: the descriptors' flags, before the next turn.
  if (has_turn_) inheritance.store(Inheritance::unused, std::memory_order_release);
}

Result<Invitation> InheritedTurn::take() {
  auto before = Inheritance::unused;
  // [T2] acquire: the descriptors as the previous turn left them. ABA: harmless, a turn that ended
  // unused leaves the descriptors open.
  if (!inheritance.compare_exchange_strong(before, Inheritance::in_turn, std::memory_order_acquire,
                                           std::memory_order_relaxed)) {
    return fail(
        ErrorCode::no_such_arena,
        fmt::format("this process {} its {} already; keep that session, or attach by socket "
                    "or name",
                    before == Inheritance::used ? "has used" : "is using", kInvitationVariable));
  }
  has_turn_ = true;
  auto variable = read_variable();
  if (!variable) return tl::unexpected(std::move(variable.error()));
  fds_ = variable->fds;
  for (const int fd : fds_)
    (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
  std::array<os::UniqueFd, 4> copies;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    auto copy = os::duplicate(fds_[i]);
    if (!copy) return tl::unexpected(std::move(copy.error()));
    copies[i] = std::move(*copy);
  }
  return Invitation{.peer = PeerId{variable->peer},
                    .epoch = variable->epoch,
                    .arena = os::MemoryFile::adopt(std::move(copies[0])),
                    .host_pidfd = std::move(copies[1]),
                    .wake = {.stream = std::move(copies[2]), .event = std::move(copies[3])},
                    .is_spawned = true};
}

void InheritedTurn::use_up() noexcept {
  if (!has_turn_) return;
  for (const int fd : fds_)
    ::close(fd);
  has_turn_ = false;
  // Relaxed: no turn follows.
  inheritance.store(Inheritance::used, std::memory_order_relaxed);
}

namespace {

Hello hello_of(const std::string& name) {
  Hello hello{};
  hello.magic = layout::kMagic;
  hello.layout_major = layout::kLayoutMajor;
  std::strncpy(hello.name, name.c_str(), sizeof hello.name - 1);
  return hello;
}

}  // namespace

void confirm_seat(int socket, Deadline deadline) noexcept {
  // An error does not matter: the seat word says that it is taken, and the watch sees a dead host.
  (void)os::send_packet(socket, bytes_of(hello_of({})), {}, deadline);
}

Result<Invitation> ask_for_seat(int socket, const std::string& name, Deadline deadline) {
  auto greeted = os::send_packet(socket, bytes_of(hello_of(name)), {}, deadline);
  if (!greeted && greeted.error().code() != ErrorCode::closed) {
    return tl::unexpected(no_seat(std::move(greeted.error())));
  }
  auto packet = os::receive_packet(socket, deadline);
  if (!packet) return tl::unexpected(no_seat(std::move(packet.error())));
  const auto offer = read_packet<Offer>(packet->bytes, "the host's offer");
  if (!offer) return tl::unexpected(offer.error());
  if (offer->refusal != 0) {
    const auto last = static_cast<std::uint32_t>(ErrorCode::os_error);
    const auto why = static_cast<ErrorCode>(std::min(offer->refusal - 1, last));
    return fail(why, why == ErrorCode::timed_out ? "the host stopped waiting for this process"
                                                 : "the host refused");
  }
  if (packet->fds.size() != kOfferFds) {
    return fail(ErrorCode::not_an_arena,
                fmt::format("the host's offer came with {} descriptors, not {}", packet->fds.size(),
                            kOfferFds));
  }
  return Invitation{
      .peer = PeerId{offer->peer},
      .epoch = offer->epoch,
      .arena = os::MemoryFile::adopt(std::move(packet->fds[0])),
      .host_pidfd = std::move(packet->fds[1]),
      .wake = {.stream = std::move(packet->fds[2]), .event = std::move(packet->fds[3])}};
}

Result<std::string> receive_hello(int socket, Deadline deadline) {
  auto packet = os::receive_plain_packet(socket, deadline);
  if (!packet) return tl::unexpected(std::move(packet.error()));
  const auto hello = read_packet<Hello>(*packet, "the greeting");
  if (!hello) return tl::unexpected(hello.error());
  return printable(hello->name, sizeof hello->name);
}

Result<void> offer_seat(int socket, const SeatOffer& seat, Deadline deadline) {
  const Offer offer{.magic = layout::kMagic,
                    .layout_major = layout::kLayoutMajor,
                    .refusal = 0,
                    .peer = seat.peer.value(),
                    .epoch = seat.epoch};
  const std::array<int, kOfferFds> fds{seat.arena, seat.host_pidfd, seat.stream, seat.event};
  return os::send_packet(socket, bytes_of(offer), fds, deadline);
}

Result<void> refuse_seat(int socket, ErrorCode why, Deadline deadline) {
  const Offer offer{.magic = layout::kMagic,
                    .layout_major = layout::kLayoutMajor,
                    .refusal = 1 + static_cast<std::uint32_t>(why),
                    .peer = 0,
                    .epoch = 0};
  return os::send_packet(socket, bytes_of(offer), {}, deadline);
}

}  // namespace mews::inline MEWS_LAYOUT::detail
