// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <string>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "../support/named_file.hpp"
#include "../support/shared_page.hpp"
#include "../unit/os_support.hpp"
#include "core/invitation.hpp"
#include "core/names.hpp"
#include "mews/os/named_memory.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "mews/os/wake.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;
using mews::layout::ArenaHeader;

namespace {

/// The header behind a descriptor, to be scribbled on.
using Scribble = mews_test::Mapped<ArenaHeader>;

/// The error, as one text: its name and its sentence.
std::string refusal(const mews::AttachOptions& options) {
  const auto session = mews::Session::attach(options);
  return session ? "attached" : outcome(session) + ": " + session.error().message();
}

constexpr auto kShort = 20ms;

void set_variable(const mews::detail::SeatOffer& seat) {
  const auto text = mews::detail::to_environment(seat);
  ::setenv("MEWS_ARENA", text.substr(text.find('=') + 1).c_str(), 1);
}

/// A process that has inherited the descriptor attaches.
std::string by_inheritance(int arena) {
  const auto pipe = os_test::make_pipe();
  os_test::Fork child([&] {
    const auto pidfd = must(mews::os::open_pidfd(::getppid()));
    const auto wake = must(mews::os::make_wake_pair());
    set_variable({.peer = mews::PeerId{1},
                  .epoch = 1,
                  .arena = ::dup(arena),
                  .host_pidfd = ::dup(pidfd.get()),
                  .stream = ::dup(wake.plugin.stream.get()),
                  .event = ::dup(wake.plugin.event.get())});
    const auto said = refusal({.timeout = kShort});
    if (refusal({.timeout = kShort}) != said) return 2;  // and so again
    return ::write(pipe.writer.get(), said.data(), said.size()) > 0 ? 0 : 1;
  });
  if (child.outcome() != "exit code 0") return "the child failed";
  std::string said(4096, '\0');
  const auto count = ::read(pipe.reader.get(), said.data(), said.size());
  return said.substr(0, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
}

/// A host at that socket hands it out to whoever joins by these options.
std::string by_socket(int arena, const std::string& address, const mews::AttachOptions& options) {
  const auto listener = must(mews::os::listen_unix(address));
  auto said = std::async(std::launch::async, [&] { return refusal(options); });
  const auto socket = must(mews::os::accept_unix(listener.get(), kPatience));
  must(mews::detail::receive_hello(socket.get(), kPatience));
  const auto pidfd = must(mews::os::open_pidfd(::getpid()));
  const auto wake = must(mews::os::make_wake_pair());
  must(mews::detail::offer_seat(socket.get(),
                                {.peer = mews::PeerId{1},
                                 .epoch = 1,
                                 .arena = arena,
                                 .host_pidfd = pidfd.get(),
                                 .stream = wake.plugin.stream.get(),
                                 .event = wake.plugin.event.get()},
                                kPatience));
  // Who fails does not say that it sits.
  if (outcome(mews::detail::receive_hello(socket.get(), kPatience)) != "closed") return "it sits";
  return said.get();
}

std::string by_socket(int arena) {
  const auto address = "@" + unique_name("mews-test-refusal");
  return by_socket(arena, address, {.socket = address, .timeout = kPatience});
}

/// A name in /dev/shm, removed at the end.
struct Name {
  std::string text = unique_name("mews-test-refusal");
  Name() = default;
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;
  ~Name() { mews::os::MemoryFile::unlink_named(mews::detail::memory_name(text)); }
};

struct Fault {
  const char* error;
  const char* part;  ///< of the sentence
  void (*spoil)(ArenaHeader&);
};

const std::vector<Fault>& faults() {
  static const std::vector<Fault> all{
      {"not_an_arena", "magic is", [](ArenaHeader& h) { h.fields.magic ^= 1; }},
      {"version_mismatch", "layout_major is", [](ArenaHeader& h) { ++h.fields.layout_major; }},
      {"bad_geometry", "arena_bytes is", [](ArenaHeader& h) { h.fields.arena_bytes += 4096; }},
      {"bad_geometry", "ring_cells is 0", [](ArenaHeader& h) { h.fields.ring_cells = 0; }},
      {"bad_geometry", "peer_capacity is",
       [](ArenaHeader& h) { h.fields.peer_capacity = 1 << 20; }},
      {"bad_geometry", "classes[1].slab_bytes is",
       [](ArenaHeader& h) { h.fields.classes[1].slab_bytes = 1; }},
      {"bad_geometry", "seats_offset is", [](ArenaHeader& h) { h.fields.seats_offset = ~0ull; }},
      {"bad_geometry", "checksum is", [](ArenaHeader& h) { ++h.fields.host_pid; }},
  };
  return all;
}

}  // namespace

TEST_CASE("refusal: a bad header is refused by its field, however the arena was come by") {
  const auto fault = GENERATE(from_range(faults()));
  const auto check_says = [&](const std::string& said) {
    CHECK_THAT(said, ContainsSubstring(fault.error) && ContainsSubstring(fault.part));
  };
  const auto arena = mews_test::make_arena();
  fault.spoil(*Scribble(arena.file().fd()));
  check_says(by_inheritance(arena.file().fd()));
  check_says(by_socket(arena.file().fd()));

  const Name name;
  const auto check = mews_test::plan({});
  const auto named = must(mews::mem::Arena::create(
      mews_test::leave_named(mews::detail::memory_name(name.text), check.geometry.arena_bytes),
      check.geometry));
  fault.spoil(*Scribble(named.file().fd()));
  check_says(refusal({.name = name.text, .timeout = kPatience}));
}

TEST_CASE("refusal: memory that can be truncated is joined by its name alone") {
  const Name name;
  const auto geometry = mews_test::plan({}).geometry;
  auto owned =
      must(mews::os::NamedMemory::own(mews::detail::memory_name(name.text), geometry.arena_bytes));
  const auto named = must(mews::mem::Arena::create(owned.take_file(), geometry));
  CHECK_THAT(by_socket(named.file().fd()),
             ContainsSubstring("not_an_arena") && ContainsSubstring("truncated"));
  const auto other = mews_test::make_arena();
  CHECK_THAT(by_socket(other.file().fd(), mews::detail::socket_of_name(name.text),
                       {.name = name.text, .timeout = 500ms}),
             ContainsSubstring("timed_out"));
}

TEST_CASE("refusal: no seat is asked of another user's process") {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() != 0) SKIP("needs root, to be two users");
  const auto address = "@" + unique_name("mews-test-refusal");
  const auto ready = os_test::make_pipe();
  os_test::Fork stranger([&] {
    if (::setresuid(kNobody, kNobody, kNobody) != 0) return 1;
    const auto listener = must(mews::os::listen_unix(address));
    if (::write(ready.writer.get(), "x", 1) != 1) return 2;
    const auto socket = must(mews::os::accept_unix(listener.get(), kPatience));
    return outcome(mews::detail::receive_hello(socket.get(), kPatience)) == "closed" ? 0 : 3;
  });
  char go = 0;
  REQUIRE(::read(ready.reader.get(), &go, 1) == 1);
  CHECK_THAT(refusal({.socket = address, .timeout = kPatience}),
             ContainsSubstring("permission_denied") && ContainsSubstring("65534"));
  CHECK(stranger.outcome() == "exit code 0");
}

TEST_CASE("refusal: an arena that does not become ready is not_ready at the deadline") {
  const auto arena = mews_test::make_arena();
  Scribble(arena.file().fd())->ready.store(0, std::memory_order_release);
  CHECK_THAT(by_inheritance(arena.file().fd()), ContainsSubstring("not_ready"));
  const Name name;
  const auto empty = mews_test::leave_named(mews::detail::memory_name(name.text),
                                            mews_test::plan({}).geometry.arena_bytes);
  CHECK_THAT(refusal({.name = name.text, .timeout = kShort}), ContainsSubstring("not_ready"));
}

TEST_CASE("refusal: whoever attaches by name before the arena is ready waits until it is") {
  mews::CreateOptions options;
  options.name = unique_name("mews-test-unready");
  options.backing = mews::Backing::named;
  auto host = must(mews::Session::create(options));
  const auto memory =
      must(mews::os::MemoryFile::open_named(mews::detail::memory_name(options.name)));
  const Scribble scribble(memory.fd());
  scribble->ready.store(0, std::memory_order_release);

  std::atomic<pid_t> waiter{0};
  auto attached = std::async(std::launch::async, [&] {
    waiter = static_cast<pid_t>(::syscall(SYS_gettid));
    return mews::Session::attach({.name = options.name, .as = "early", .timeout = kPatience});
  });
  // Asleep, and not at an end.
  REQUIRE(eventually([&] { return waiter != 0 && state_of(waiter) == 'S'; }));
  CHECK(attached.wait_for(0s) == std::future_status::timeout);
  scribble->ready.store(mews::layout::kReady, std::memory_order_release);
  auto plugin = must(host.admit(kPatience));
  auto session = must(attached.get());
  must(plugin.channel().send(bytes_of("ready")));
  CHECK(must(session.channel().receive(kPatience)).text() == "ready");
}

TEST_CASE("refusal: what has come to lie at the numbers of an invitation is not touched") {
  const auto arena = mews_test::make_arena();
  const auto other_arena = mews_test::make_arena();
  const bool is_arena_too = GENERATE(false, true);
  os_test::Fork child([&] {
    const int other = is_arena_too ? other_arena.file().fd() : STDIN_FILENO;
    const std::array<int, 4> fds{::dup(other), ::dup(0), ::dup(0), ::dup(0)};
    const int invited = ::dup(arena.file().fd());
    set_variable({.peer = mews::PeerId{1},
                  .epoch = 1,
                  .arena = invited,
                  .host_pidfd = fds[1],
                  .stream = fds[2],
                  .event = fds[3]});
    ::dup2(fds[0], invited);
    const auto said = refusal({.timeout = kShort});
    if (said.find("no_such_arena") != 0 || said.find("other files") == std::string::npos) return 1;
    for (const int fd : {invited, fds[1], fds[2], fds[3]})
      if (::fcntl(fd, F_GETFD) != 0) return 2;
    return 0;
  });
  CHECK(child.outcome() == "exit code 0");
}
