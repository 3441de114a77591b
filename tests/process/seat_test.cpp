// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <string>

#include "../hostile/stage.hpp"
#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "core/guest_core.hpp"
#include "mews/layout/limits.hpp"
#include "mews/os/event_fd.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"

using namespace process_test;
using mews::PeerId;
using mews::detail::GuestCore;
using mews::detail::Invitation;
using mews::layout::PeerState;
using mews::layout::SeatWord;

namespace {

using Guest = mews::Result<std::unique_ptr<GuestCore>>;

/// No thread: some of these guests live in forked children.
Guest sit(Invitation invitation) {
  mews::LocalOptions local;
  local.watcher = mews::Watcher::none;
  return GuestCore::join(std::move(invitation), {}, local, kPatience);
}

/// An invitation that no host has written.
Invitation forge(const mews::mem::Arena& arena, PeerId peer, std::uint32_t epoch) {
  return {.peer = peer,
          .epoch = epoch,
          .arena = mews::os::MemoryFile::adopt(
              mews::os::UniqueFd(::fcntl(arena.file().fd(), F_DUPFD_CLOEXEC, 0))),
          .host_pidfd = must(mews::os::open_pidfd(::getpid())),
          .own_event = must(mews::os::make_event_fd()),
          .host_event = must(mews::os::make_event_fd())};
}

/// A host, and a second view of its arena.
struct Hall {
  explicit Hall(const mews::CreateOptions& options = hostile_test::stage_arena())
      : host(must(mews::Session::create(options))),
        arena(must(mews::mem::Arena::attach(
            mews::os::MemoryFile::adopt(hostile_test::find_memfd("mews-" + options.name)),
            kPatience))) {}

  [[nodiscard]] SeatWord seat(PeerId peer) const {
    return SeatWord::unpack(arena.peer(peer).seat.load(std::memory_order_acquire));
  }
  [[nodiscard]] bool is_vacant(PeerId peer) const { return seat(peer).state == PeerState::vacant; }

  /// A plugin that stops before it attaches.
  [[nodiscard]] mews::Plugin spawn_stopped() {
    auto plugin = must(host.spawn("late", {"sh", "-c", "kill -STOP $$; exec \"$0\" \"$@\"",
                                           MEWS_TEST_BIN_DIR "/role_plugin", "echo"}));
    if (!eventually([&] { return state_of(plugin.pid()) == 'T'; })) throw std::runtime_error("ran");
    return plugin;
  }

  mews::Session host;
  mews::mem::Arena arena;
};

std::string echoed(mews::Channel& channel, const std::string& text) {
  must(channel.send(bytes_of(text), {}, kPatience));
  return std::string(must(channel.receive(kPatience)).text());
}

// The packets of joining, as they are on the wire.
struct Hello {
  std::uint64_t magic = mews::layout::kMagic;
  std::uint32_t layout_major = mews::layout::kLayoutMajor;
  char name[40] = "by hand";
  std::uint32_t reserved = 0;
};
struct Offer {
  std::uint64_t magic;
  std::uint32_t layout_major;
  std::uint32_t refusal;
  std::uint32_t peer;
  std::uint32_t epoch;
};

mews::os::UniqueFd ask(const std::string& address) {
  auto socket = must(mews::os::connect_unix(address, kPatience));
  const Hello hello;
  must(mews::os::send_packet(socket.get(), std::as_bytes(std::span(&hello, 1)), {}, kPatience));
  return socket;
}

Invitation take_offer(int socket) {
  auto packet = must(mews::os::receive_packet(socket, kPatience));
  Offer offer{};
  if (packet.bytes.size() != sizeof offer || packet.fds.size() != 4) throw std::runtime_error("no");
  std::memcpy(&offer, packet.bytes.data(), sizeof offer);
  return {.peer = PeerId{offer.peer},
          .epoch = offer.epoch,
          .arena = mews::os::MemoryFile::adopt(std::move(packet.fds[0])),
          .host_pidfd = std::move(packet.fds[1]),
          .own_event = std::move(packet.fds[2]),
          .host_event = std::move(packet.fds[3])};
}

mews::os::Child start_joiner(const std::string& address) {
  return must(mews::os::spawn(
      {.arguments = command({"socket", address, "echo"}), .environment = {}, .inherited_fds = {}}));
}

}  // namespace

TEST_CASE("seat: a spawned process waits until the host has entered its pid, or is dead") {
  Hall hall;
  auto late = hall.spawn_stopped();
  auto& entered = hall.arena.peer(late.peer()).pid;
  REQUIRE(entered == static_cast<std::uint32_t>(late.pid()));
  const auto sit_as_spawned = [&](mews::os::UniqueFd host_pidfd) {
    auto invitation = forge(hall.arena, late.peer(), hall.seat(late.peer()).epoch);
    invitation.is_spawned = true;
    if (host_pidfd) invitation.host_pidfd = std::move(host_pidfd);
    return sit(std::move(invitation));
  };
  CHECK(outcome(sit_as_spawned({})) == "no_such_arena");

  entered = 0;
  os_test::Fork dead([] { return 0; });
  mews::os::UniqueFd of_the_dead(::fcntl(dead.pidfd(), F_DUPFD_CLOEXEC, 0));
  CHECK(outcome(sit_as_spawned(std::move(of_the_dead))) == "host_died");

  std::thread host([&] {
    std::this_thread::sleep_for(10ms);
    entered = static_cast<std::uint32_t>(::getpid());
  });
  CHECK(outcome(sit_as_spawned({})) == "ok");
  host.join();
  must(late.kill(SIGKILL));
}

TEST_CASE("seat: an invitation of another epoch is refused, and the seat stays its owner's") {
  Hall hall;
  PeerId peer;
  {
    const auto first = must(hall.host.connect("first"));
    peer = first.first.peer();
    CHECK(hall.seat(peer) == SeatWord{PeerState::attached, 1});
  }
  REQUIRE(eventually([&] { return hall.is_vacant(peer); }));
  auto late = hall.spawn_stopped();
  REQUIRE(late.peer() == peer);
  const SeatWord offered{PeerState::invited, 2};
  REQUIRE(hall.seat(peer) == offered);
  for (const std::uint32_t epoch : {0u, 1u, 3u, ~0u}) {
    CHECK(outcome(sit(forge(hall.arena, peer, epoch))) == "closed");
    CHECK(hall.seat(peer) == offered);
  }
  must(late.kill(SIGCONT));
  CHECK(echoed(late.channel(), "its owner") == "its owner");
  CHECK(hall.seat(peer) == SeatWord{PeerState::attached, 2});
}

TEST_CASE("seat: a forged invitation gets an error that fits, and whoever sits there goes on") {
  Hall hall;
  auto [plugin, guest] = must(hall.host.connect("guest"));
  const auto peer = plugin.peer();
  const auto capacity = hall.arena.geometry().peer_capacity;
  for (const auto outside : {0u, capacity, capacity + 1, ~0u}) {
    CHECK(outcome(sit(forge(hall.arena, PeerId{outside}, 1))) == "bad_geometry");
  }
  CHECK(outcome(sit(forge(hall.arena, peer, 1))) == "closed");       // used already
  CHECK(outcome(sit(forge(hall.arena, PeerId{2}, 0))) == "closed");  // never given out
  must(plugin.channel().send(bytes_of("still here")));
  CHECK(must(guest.channel().receive(kPatience)).text() == "still here");
  CHECK(hall.host.stats().plugins == 1);
}

TEST_CASE("seat: a channel end that somebody has already is not taken by a second one") {
  Hall hall;
  const auto end = GENERATE(0, 1);
  auto late = hall.spawn_stopped();
  const auto channel = mews::detail::channel_of(late.peer());
  auto& role = end == 0 ? hall.arena.lane(mews::detail::lane_to_host(channel)).producer_role
                        : hall.arena.lane(mews::detail::lane_to_plugin(channel)).consumer_role;
  role.store(8, std::memory_order_relaxed);
  const auto second = sit(forge(hall.arena, late.peer(), 1));
  REQUIRE(outcome(second) == "concurrent_use");
  CHECK_THAT(second.error().message(), Catch::Matchers::ContainsSubstring("peer 7 has this end"));
  CHECK(role.load(std::memory_order_relaxed) == 8);
  must(late.kill(SIGKILL));
  must(late.wait_exit(kPatience));
  CHECK(outcome(hall.host.connect("next")) == "ok");
}

TEST_CASE("seat: a joiner that was stopped before it sat is too late, the next one has its seat") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-slow");
  must(hall.host.listen(address));
  os_test::Fork slow([&] {
    const auto socket = ask(address);
    auto invitation = take_offer(socket.get());
    ::raise(SIGSTOP);
    return invitation.peer == PeerId{1} && outcome(sit(std::move(invitation))) == "closed" ? 0 : 1;
  });
  auto admitted = std::async(std::launch::async, [&] { return hall.host.admit(kPatience); });
  REQUIRE(eventually([&] { return state_of(slow.pid()) == 'T'; }));
  const auto child = start_joiner(address);
  auto next = must(admitted.get());
  CHECK(next.pid() == child.pid);
  CHECK(next.peer() == PeerId{1});
  ::kill(slow.pid(), SIGCONT);
  CHECK(slow.outcome() == "exit code 0");
  CHECK(echoed(next.channel(), "the seat is mine") == "the seat is mine");
  CHECK(hall.host.stats().plugins == 1);
}

TEST_CASE("seat: a joiner that sat down and did not say so is in, and watched") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-tacit");
  must(hall.host.listen(address));
  os_test::Fork tacit([&] {
    const auto socket = ask(address);
    auto guest = sit(take_offer(socket.get()));
    if (!guest) return 1;
    must((*guest)->channel()->send(bytes_of("I sit here"), {}, mews::Deadline(kPatience)));
    for (;;)
      ::pause();
  });
  auto plugin = must(hall.host.admit(kPatience));
  CHECK(plugin.pid() == tacit.pid());
  CHECK(plugin.name() == "by?hand");
  CHECK(must(plugin.channel().receive(kPatience)).text() == "I sit here");
  CHECK(must(hall.host.connect("next")).first.peer() != plugin.peer());
  must(plugin.kill(SIGKILL));
  CHECK(outcome(plugin.channel().receive(kPatience)) == "peer_died");
}

TEST_CASE("seat: callers that are stuck do not keep the next one out, nor a seat") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-stuck");
  must(hall.host.listen(address));
  const auto silent = must(mews::os::connect_unix(address, kPatience));
  const auto wordless = ask(address);  // gets an offer, and never answers
  const auto child = start_joiner(address);
  auto plugin = must(hall.host.admit(kPatience));
  CHECK(plugin.pid() == child.pid);
  CHECK(plugin.peer() == PeerId{1});
  CHECK(echoed(plugin.channel(), "at last") == "at last");
}

TEST_CASE("seat: a stuck caller does not make admit outlast its deadline") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-deadline");
  must(hall.host.listen(address));
  const auto silent = must(mews::os::connect_unix(address, kPatience));
  CHECK(outcome(hall.host.admit(20ms)) == "timed_out");
  CHECK(outcome(hall.host.admit(0ms)) == "timed_out");
  const auto child = start_joiner(address);
  CHECK(must(hall.host.admit(kPatience)).pid() == child.pid);
}
