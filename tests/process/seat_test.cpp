// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <string>
#include <vector>

#include "../hostile/stage.hpp"
#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "core/guest_core.hpp"
#include "mews/layout/limits.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "mews/os/spawn.hpp"
#include "mews/os/wake.hpp"

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
          .wake = std::move(must(mews::os::make_wake_pair()).plugin)};
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
          .wake = {.stream = std::move(packet.fds[2]), .event = std::move(packet.fds[3])}};
}

/// Says `bytes` to a host, and gets why it was refused: the error's name, or "a seat".
class Stranger {
 public:
  Stranger(const std::string& address, std::span<const std::byte> bytes)
      : socket_(must(mews::os::connect_unix(address, kPatience))) {
    must(mews::os::send_packet(socket_.get(), bytes, {}, kPatience));
  }
  [[nodiscard]] std::string answer() const {
    const auto packet = must(mews::os::receive_packet(socket_.get(), kPatience));
    Offer offer{};
    if (packet.bytes.size() != sizeof offer) return "another packet";
    std::memcpy(&offer, packet.bytes.data(), sizeof offer);
    if (offer.magic != mews::layout::kMagic) return "another magic";
    if (offer.layout_major != mews::layout::kLayoutMajor) return "another version";
    if (offer.refusal == 0) return "a seat";
    return std::string(to_string(static_cast<mews::ErrorCode>(offer.refusal - 1)));
  }

 private:
  mews::os::UniqueFd socket_;
};

/// `hello`, cut or padded with zeros.
std::vector<std::byte> packet_of(const Hello& hello, std::size_t bytes = sizeof(Hello)) {
  std::vector<std::byte> packet(bytes);
  std::memcpy(packet.data(), &hello, std::min(bytes, sizeof hello));
  return packet;
}

/// What a program that attaches says of a host whose offer is `bytes`.
std::string refusal_by(std::span<const std::byte> bytes) {
  const auto address = "@" + unique_name("mews-test-other");
  const auto listener = must(mews::os::listen_unix(address));
  auto said = std::async(std::launch::async, [&] {
    const auto session = mews::Session::attach({.socket = address, .timeout = kPatience});
    return session ? "attached" : outcome(session) + ": " + session.error().message();
  });
  const auto socket = must(mews::os::accept_unix(listener.get(), kPatience));
  must(mews::detail::receive_hello(socket.get(), kPatience));
  must(mews::os::send_packet(socket.get(), bytes, {}, kPatience));
  return said.get();
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
  CHECK(outcome(hall.host.admit(3s)) == "timed_out");  // longer than its patience with the slow one
  CHECK(must(hall.host.connect("heir")).first.peer() == PeerId{1});
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
  CHECK(echoed(plugin.channel(), "at last") == "at last");
  CHECK(outcome(hall.host.admit(3s)) == "timed_out");  // longer than its patience with them
  CHECK(must(hall.host.connect("next")).first.peer() == PeerId{1});
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

TEST_CASE("seat: callers of another version and strays are told so, and the next one is admitted") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-strays");
  must(hall.host.listen(address));
  Hello other_version;
  ++other_version.layout_major;
  Hello other_magic;
  other_magic.magic ^= 1;
  const Stranger later(address, packet_of(other_version));
  const Stranger shorter(address, packet_of(other_version, 12));
  const Stranger longer(address, packet_of(other_version, 500));
  const Stranger foreign(address, packet_of(other_magic));
  const Stranger wrong_size(address, packet_of({}, 100));
  const Stranger letter(address, packet_of({}, 1));
  const Stranger too_long(address, packet_of({}, 4096));
  static_cast<void>(must(mews::os::connect_unix(address, kPatience)));  // hangs up
  const auto child = start_joiner(address);
  REQUIRE(must(hall.host.admit(kPatience)).pid() == child.pid);
  for (const auto* of_other_version : {&later, &shorter, &longer})
    CHECK(of_other_version->answer() == "version_mismatch");
  for (const auto* stray : {&foreign, &wrong_size, &letter, &too_long})
    CHECK(stray->answer() == "not_an_arena");
}

TEST_CASE("seat: one that takes its seat with nonsense loses it to the next") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-nonsense");
  must(hall.host.listen(address));
  const auto confused = ask(address);
  const auto word = packet_of({}, 7);
  must(mews::os::send_packet(confused.get(), word, {}, kPatience));
  const auto child = start_joiner(address);
  auto plugin = must(hall.host.admit(kPatience));
  CHECK(plugin.pid() == child.pid);
  CHECK(outcome(hall.host.admit(100ms)) == "timed_out");
  CHECK(must(hall.host.connect("next")).first.peer().value() <= 2);  // no seat is lost
}

TEST_CASE("seat: an admit whose only caller was passed over says why") {
  Hall hall;
  const auto address = "@" + unique_name("mews-test-alone");
  must(hall.host.listen(address));
  Hello other_version;
  ++other_version.layout_major;
  const Stranger stranger(address, packet_of(other_version));
  const auto admitted = hall.host.admit(200ms);
  CHECK(outcome(admitted) == "timed_out");
  CHECK_THAT(admitted.error().message(),
             Catch::Matchers::ContainsSubstring("skipped") &&
                 Catch::Matchers::ContainsSubstring(std::to_string(other_version.layout_major)));
  CHECK(stranger.answer() == "version_mismatch");
}

TEST_CASE("seat: a host of another layout version is a version_mismatch that names both") {
  const auto theirs = mews::layout::kLayoutMajor + GENERATE(1u, ~0u);
  const std::size_t bytes = GENERATE(std::size_t{12}, sizeof(Offer), std::size_t{300});
  const Offer offer{.magic = mews::layout::kMagic,
                    .layout_major = theirs,
                    .refusal = 1 + static_cast<std::uint32_t>(mews::ErrorCode::version_mismatch),
                    .peer = 0,
                    .epoch = 0};
  std::vector<std::byte> packet(bytes);
  std::memcpy(packet.data(), &offer, std::min(bytes, sizeof offer));
  CHECK_THAT(refusal_by(packet),
             Catch::Matchers::StartsWith("version_mismatch") &&
                 Catch::Matchers::ContainsSubstring("layout " + std::to_string(theirs)) &&
                 Catch::Matchers::ContainsSubstring("knows " +
                                                    std::to_string(mews::layout::kLayoutMajor)));
}
