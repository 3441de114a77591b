// SPDX-License-Identifier: MIT
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// Everything until the last writer is gone; "..." for what did not come in time.
std::string read_to_end(int fd) {
  std::string text;
  const mews::Deadline deadline(kPatience);
  for (;;) {
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline.left());
    if (::poll(&entry, 1, static_cast<int>(left.count())) <= 0) return text + "...";
    std::array<char, 256> part{};
    const auto count = ::read(fd, part.data(), part.size());
    if (count <= 0) return text;
    text.append(part.data(), static_cast<std::size_t>(count));
  }
}

/// What a plugin's blocked call says when its host is killed; `words` without the descriptor.
std::string said_by_orphan(const Words& words) {
  auto pipe = os_test::make_pipe();
  Words arguments{MEWS_TEST_BIN_DIR "/host_child"};
  for (const auto& word : command(words))
    arguments.push_back(word);
  arguments.push_back(std::to_string(pipe.writer.get()));
  const auto host = must(mews::os::spawn(
      {.arguments = arguments, .environment = {}, .inherited_fds = {pipe.writer.get()}}));
  pipe.writer.reset();
  auto text = read_to_end(pipe.reader.get());
  if (!mews::os::wait_for_exit(host.pidfd.get(), kPatience)) return "the host lives";
  const auto status = mews::os::reap(host.pidfd.get());
  return status && status->describe() == "signal 9 (Killed)" ? text : "the host failed";
}

/// Entries of /dev/shm whose names start as ours do.
std::size_t left_behind(const std::string& stem) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    if (entry.path().filename().string().starts_with(stem)) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("host death: a plugin that waits for a message gets those sent before, then host_died") {
  for (int i = 0; i < 5; ++i)
    CHECK(said_by_orphan({"outlive", "receive"}) == "3 messages, then host_died");
}

TEST_CASE("host death: a plugin that waits for room in the lane is told host_died") {
  CHECK(said_by_orphan({"outlive", "send"}) == "host_died");
}

TEST_CASE("host death: a plugin that waits for memory is told host_died") {
  CHECK(said_by_orphan({"outlive", "loan"}) == "host_died");
}

TEST_CASE("host death: a plugin without a watcher thread sees it when it looks, and only then") {
  CHECK(said_by_orphan({"unwatched", "outlive", "events"}) ==
        "would_block, would_block, then host_died");
}

TEST_CASE("host death: a plugin that tried to attach a second time still sees it") {
  CHECK(said_by_orphan({"twice", "outlive", "receive"}) == "3 messages, then host_died");
}

TEST_CASE("host death: a plugin of the examples' kind exits, and nothing is left in /dev/shm") {
  const auto name = unique_name("mews-test-orphans");
  auto pipe = os_test::make_pipe();
  os_test::Fork host([&] {
    mews::CreateOptions options;
    options.name = name;
    auto session = must(mews::Session::create(options));
    mews::PluginOptions outlives;
    outlives.process.parent_death_signal = 0;
    auto plugin = must(session.spawn("orphan", command({"echo"}), outlives));
    must(plugin.channel().send(bytes_of("x")));
    must(plugin.channel().receive(kPatience));
    const pid_t pid = plugin.pid();
    if (::write(pipe.writer.get(), &pid, sizeof pid) != sizeof pid) return 1;
    return ::raise(SIGKILL);
  });
  pipe.writer.reset();  // should the host fail, the pipe ends
  pid_t orphan = 0;
  REQUIRE(::read(pipe.reader.get(), &orphan, sizeof orphan) == sizeof orphan);
  if (const auto pidfd = mews::os::open_pidfd(orphan)) {
    CHECK(mews::os::wait_for_exit(pidfd->get(), kPatience));
  }
  CHECK(host.outcome() == "signal 9 (Killed)");
  CHECK(left_behind("mews-" + name) == 0);
}
