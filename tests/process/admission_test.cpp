// SPDX-License-Identifier: MIT
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <future>
#include <set>
#include <stop_token>

#include "../support/catch.hpp"
#include "../support/lingering.hpp"
#include "../unit/os_support.hpp"
#include "core/invitation.hpp"
#include "mews/base/sanitizer.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

struct Door {
  explicit Door(mews::CreateOptions options = small_arena())
      : host(must(mews::Session::create(std::move(options)))) {
    must(host.listen(address));
  }
  std::string address = "@" + unique_name("mews-test-admission");
  mews::Session host;
};

mews::os::Child start(Words arguments) {
  return must(
      mews::os::spawn({.arguments = std::move(arguments), .environment = {}, .inherited_fds = {}}));
}

mews::os::Child start_joiner(const std::string& address) {
  return start(command({"socket", address, "echo"}));
}

int exit_code_of(const mews::os::Child& child) {
  if (!mews::os::wait_for_exit(child.pidfd.get(), kPatience)) return -1;
  const auto status = mews::os::reap(child.pidfd.get());
  return status && !status->is_signal ? status->number : -2;
}

}  // namespace

TEST_CASE("admission: a caller whose descriptor blocks when it is closed holds nobody up") {
  const bool is_other_user = GENERATE(false, true);
  if (is_other_user && ::geteuid() != 0) SKIP("only root can become another user");
  Door door;
  const auto ready = os_test::make_pipe();
  os_test::Fork hostile([&] {
    if (is_other_user && ::setresuid(65534, 65534, 65534) != 0) return 1;
    const auto socket = must(mews::os::connect_unix(door.address, kPatience));
    auto fd = mews_test::lingering_socket();
    const std::array<int, 1> fds{fd.fd.get()};
    const auto sent = mews::os::send_packet(socket.get(), bytes_of("x"), fds, kPatience);
    // A kernel that knows how to has refused it, and this one's close would block.
    static_cast<void>(sent ? (fd.fd.reset(), -1) : fd.fd.release());
    if (::write(ready.writer.get(), "x", 1) != 1) return 2;
    for (;;)
      ::pause();
  });
  char go = 0;
  REQUIRE(::read(ready.reader.get(), &go, 1) == 1);
  auto admitted = std::async(std::launch::async, [&] { return door.host.admit(kPatience); });
  const auto child = start_joiner(door.address);
  if (admitted.wait_for(kPatience + 10s) != std::future_status::ready) {
    std::printf("admit does not return\n");
    std::_Exit(1);
  }
  CHECK(must(admitted.get()).pid() == child.pid);
}

TEST_CASE("admission: silent callers, however many, do not keep an honest one waiting") {
  Door door;
  std::vector<mews::os::UniqueFd> silent;
  for (int i = 0; i < 40; ++i)
    silent.push_back(must(mews::os::connect_unix(door.address, kPatience)));
  const auto child = start_joiner(door.address);
  auto plugin = must(door.host.admit(kPatience));
  CHECK(plugin.pid() == child.pid);
  CHECK(plugin.peer() == mews::PeerId{1});
  CHECK(converse(plugin.channel(), 10, 5).empty());
}

TEST_CASE("admission: an honest caller is served behind more silent ones than are heard at once") {
  Door door;
  std::vector<mews::os::UniqueFd> silent;
  auto admitted = std::async(std::launch::async, [&] { return door.host.admit(kPatience); });
  for (int i = 0; i < 200; ++i)
    silent.push_back(must(mews::os::connect_unix(door.address, kPatience)));
  const auto child = start_joiner(door.address);
  CHECK(must(admitted.get()).pid() == child.pid);
}

TEST_CASE("admission: a joiner without address space is told, and never handed out as a plugin") {
  if (mews::base::kIsAddressSanitized || mews::base::kIsThreadSanitized) {
    SKIP("a sanitizer needs all of the address space");
  }
  mews::CreateOptions options;
  options.max_plugins = 2;
  Door door(options);
  auto admitted = std::async(std::launch::async, [&] { return door.host.admit(4 * kPatience); });
  constexpr auto kNoMemory = 100 + static_cast<int>(mews::ErrorCode::out_of_memory);
  Words cramped{"sh", "-c", "ulimit -v 1000000; \"$0\" \"$@\"; exit $?"};
  for (const auto& word : command({"socket", door.address, "echo"}))
    cramped.push_back(word);
  for (int i = 0; i < 40; ++i)
    REQUIRE(exit_code_of(start(cramped)) == kNoMemory);
  const auto child = start_joiner(door.address);
  auto plugin = must(admitted.get());
  CHECK(plugin.pid() == child.pid);
  CHECK(plugin.peer() == mews::PeerId{1});
  CHECK(outcome(door.host.connect("second")) == "ok");
}

TEST_CASE("admission: one that says that it sits, and does not, is passed over") {
  Door door;
  auto admitted = std::async(std::launch::async, [&] { return door.host.admit(kPatience); });
  const auto socket = must(mews::os::connect_unix(door.address, kPatience));
  {
    const auto invitation = must(mews::detail::ask_for_seat(socket.get(), "phantom", kPatience));
    mews::detail::confirm_seat(socket.get(), kPatience);
  }
  const auto child = start_joiner(door.address);
  auto plugin = must(admitted.get());
  CHECK(plugin.pid() == child.pid);
}

TEST_CASE(
    "admission: a stop token ends the wait, and the next call goes on with the same callers") {
  Door door;
  std::stop_source stop;
  std::vector<std::future<std::string>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(std::async(std::launch::async, [&] {
      return outcome(door.host.admit(mews::forever, stop.get_token()));
    }));
  }
  const auto caller = must(mews::os::connect_unix(door.address, kPatience));
  stop.request_stop();
  for (auto& wait : waiting)
    CHECK(wait.get() == "cancelled");
  CHECK(outcome(door.host.admit(mews::forever, stop.get_token())) == "cancelled");
  const auto child = start_joiner(door.address);
  CHECK(must(door.host.admit(kPatience)).pid() == child.pid);
}

TEST_CASE("admission: a shutdown ends the wait") {
  Door door;
  auto waiting =
      std::async(std::launch::async, [&] { return outcome(door.host.admit(kPatience)); });
  static_cast<void>(door.host.shutdown(kPatience));
  CHECK(waiting.get() == "closed");
}

TEST_CASE("admission: of several threads that admit, each gets a caller of its own") {
  Door door;
  constexpr int kThreads = 4;
  std::vector<std::future<mews::HandleResult<mews::Plugin>>> admitting;
  for (int i = 0; i < kThreads; ++i) {
    admitting.push_back(std::async(std::launch::async, [&] { return door.host.admit(kPatience); }));
  }
  std::set<pid_t> started;
  std::set<pid_t> admitted;
  for (int i = 0; i < kThreads; ++i)
    started.insert(start_joiner(door.address).pid);
  std::vector<mews::Plugin> plugins;
  for (auto& one : admitting) {
    plugins.push_back(must(one.get()));
    admitted.insert(plugins.back().pid());
  }
  CHECK(admitted == started);
}
