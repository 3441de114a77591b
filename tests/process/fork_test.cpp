// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdlib.h>

#include <cstdio>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "core/names.hpp"
#include "link_site.hpp"
#include "mews/os/memory_file.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// All that a program may hold of mews.
struct Things {
  explicit Things(mews::Session made) : host(std::move(made)) {
    auto local = must(host.connect("guest"));
    guest.emplace(std::move(local.second));
    plugins.push_back(std::move(local.first));
    plugins.push_back(must(host.spawn("echo", command({"echo"}))));
    for (const std::size_t bytes : {100u, 50'000u}) {
      loans.push_back(must(guest->channel().loan(bytes)));
      loans.push_back(must(plugins[0].channel().loan(bytes)));
      auto sent = must(plugins[0].channel().loan(bytes));
      fill(sent.bytes(), bytes);
      must(plugins[0].channel().send(std::move(sent)));
      messages.push_back(must(guest->channel().receive(kPatience)));
    }
  }

  mews::Session host;
  std::optional<mews::Session> guest;
  std::vector<mews::Plugin> plugins;
  std::vector<mews::Loan> loans;
  std::vector<mews::Message> messages;
};

mews::CreateOptions named() {
  auto options = small_arena();
  options.name = unique_name("mews-test-fork");
  options.backing = mews::Backing::named;
  return options;
}

/// What is called in a child, and answers anything but `wrong_process`.
class Walk {
 public:
  template <class T>
  void call(const char* name, const mews::Result<T>& result) {
    if (outcome(result) != "wrong_process") note(name, outcome(result));
  }
  void expect(const char* name, bool is_so) {
    if (!is_so) note(name, "not what is promised");
  }
  [[nodiscard]] bool is_well() const noexcept { return is_well_; }

 private:
  void note(const char* name, const std::string& what) {
    std::fprintf(stderr, "in a forked child: %s: %s\n", name, what.c_str());
    is_well_ = false;
  }
  bool is_well_ = true;
};

void walk_channel(Walk& walk, mews::Channel& channel, std::span<mews::Loan> loans) {
  const std::vector<std::byte> small(1);
  const std::vector<std::byte> large(50'000);
  const auto visit = [](const mews::MessageView&) {};
  for (const std::size_t bytes : {100u, 50'000u}) {
    walk.call("loan", channel.loan(bytes));
    walk.call("loan until", channel.loan(bytes, mews::forever));
    walk.call("try_loan", channel.try_loan(bytes));
  }
  for (auto& loan : loans) {
    walk.call("send a loan", channel.send(std::move(loan)));
    walk.call("send a loan until", channel.send(std::move(loan), {}, mews::forever));
    walk.call("try_send a loan", channel.try_send(std::move(loan)));
    walk.expect("a loan that was not sent", loan.is_valid());
  }
  using Bytes = std::span<const std::byte>;
  for (const auto bytes : {Bytes(small), Bytes(large)}) {
    walk.call("send", channel.send(bytes));
    walk.call("send until", channel.send(bytes, {}, mews::forever));
    walk.call("try_send", channel.try_send(bytes));
    walk.call("shared send", channel.shared().send(bytes));
    walk.call("shared send until", channel.shared().send(bytes, {}, mews::forever));
  }
  walk.call("shared loan", channel.shared().loan(50'000, mews::forever));
  walk.call("shared send a loan", channel.shared().send(std::move(loans[0]), {}, mews::forever));
  walk.call("try_send_batch", channel.try_send_batch(loans));
  walk.call("receive", channel.receive());
  walk.call("receive until", channel.receive(mews::forever));
  walk.call("try_receive", channel.try_receive());
  walk.call("receive_batch", channel.receive_batch(visit, 1));
  walk.call("receive_batch until", channel.receive_batch(visit, 1, mews::forever));
  walk.call("try_receive_batch", channel.try_receive_batch(visit, 1));
  walk.call("arm_event", channel.arm_event());
  walk.call("close", channel.close());
}

void walk_plugin(Walk& walk, mews::Plugin& plugin) {
  walk.call("wait_exit", plugin.wait_exit(mews::forever));
  walk.call("renew", plugin.renew(mews::forever));
  walk.call("kill", plugin.kill(SIGKILL));
  walk.expect("is_alive", !plugin.is_alive());
  walk.expect("exit", !plugin.exit());
  walk.expect("name", !plugin.name().empty() && plugin.pid() > 0 && plugin.peer().value() > 0);
}

void walk_session(Walk& walk, mews::Session& session) {
  walk.call("spawn", session.spawn("other", {"true"}));
  walk.call("listen", session.listen("@" + unique_name("mews-test-fork")));
  walk.call("admit", session.admit(mews::forever));
  walk.call("connect", session.connect("other"));
  (void)session.shutdown(mews::forever);
  session.process_events();
  walk.expect("stats", session.stats().classes.empty());
  walk.expect("watch_fd", session.watch_fd() >= 0);
}

}  // namespace

TEST_CASE("fork: every call in a child is wrong_process, whatever the parent's threads have") {
  std::optional<Things> things(std::in_place, must(mews::Session::create(small_arena())));
  auto& guest_channel = things->guest->channel();
  auto sender = things->plugins[0].channel().shared();
  // In the parent one thread has the turn and the role of a sender, another waits for its turn, and
  // a third is in a receiver's role.
  while (things->plugins[0].channel().try_send(bytes_of("x"))) {
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([sender]() mutable { (void)sender.send(bytes_of("x"), {}, kPatience); });
  threads.emplace_back([&] { (void)things->plugins[1].channel().receive(mews::forever); });
  os_test::Fork child([&] {
    Walk walk;
    walk_session(walk, things->host);
    walk_session(walk, *things->guest);
    walk_channel(walk, things->plugins[0].channel(), things->loans);
    walk_channel(walk, things->plugins[1].channel(), things->loans);
    walk_channel(walk, guest_channel, things->loans);
    for (auto& plugin : things->plugins)
      walk_plugin(walk, plugin);
    walk.call("shared send", sender.send(bytes_of("x"), {}, mews::forever));
    things.reset();
    return walk.is_well() ? 0 : 1;
  });
  CHECK(child.outcome() == "exit code 0");
  CHECK(things->plugins[1].is_alive());
  must(things->plugins[1].kill(SIGKILL));
  while (guest_channel.receive(1s)) {
  }
  for (auto& thread : threads)
    thread.join();
}

TEST_CASE("fork: every call of a link is wrong_process in a child, whatever the parent has open") {
  std::optional<LinkPair> pair(std::in_place);
  auto pending = must(pair->here().start("x", {}, kPatience));
  auto unasked = must(pair->here().start("y", {}, kPatience));
  std::optional<mews::Request> request(must(pair->there().accept(kPatience)));
  // One thread leads, another waits for it.
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&pair] { (void)pair->here().accept(mews::forever); });
  }
  std::this_thread::sleep_for(10ms);
  os_test::Fork child([&] {
    Walk walk;
    auto& link = pair->here();
    walk.call("call", link.call("x"));
    walk.call("call until", link.call("x", {}, mews::forever));
    walk.call("start", link.start(std::string(1000, 'x'), {}, mews::forever));
    walk.call("try_start", link.try_start("x", {}, mews::forever));
    walk.call("accept", link.accept(mews::forever));
    walk.call("try_accept", link.try_accept());
    walk.call("dispatch", link.dispatch());
    walk.call("arm_event", link.arm_event());
    walk.call("link loan", link.loan(1000, mews::forever));
    walk.call("wait", pending.wait(mews::forever));
    walk.call("get", pending.get());
    walk.call("request loan", request->loan(1000));
    walk.call("reply", request->reply("x"));
    walk.call("fail", request->fail("x"));
    walk.expect("event_fd", link.event_fd() == -1);
    walk.expect("on_ready", !unasked.on_ready([] {}));
    walk.expect("is_ready", !unasked.is_ready());
    walk.expect("is_cancelled", request->is_cancelled());
    walk.expect("stop_token", !request->stop_token().stop_possible());
    unasked.cancel();
    request.reset();
    return walk.is_well() ? 0 : 1;
  });
  CHECK(child.outcome() == "exit code 0");
  must(request->reply("z"));
  CHECK(must(pending.get()).text() == "z");
  for (int i = 0; i < 2; ++i)
    (void)must(pair->there().start("end")).wait(kPatience);
  for (auto& thread : threads)
    thread.join();
}

TEST_CASE("fork: a stop that a child requests is not the parent's, and ends nothing there") {
  auto host = must(mews::Session::create(small_arena()));
  auto [plugin, guest] = must(host.connect("guest"));
  std::stop_source source;
  mews::Result<mews::Message> received;
  std::thread receiver([&, &channel = guest.channel()] {
    received = channel.receive(mews::forever, source.get_token());
  });
  os_test::Fork child([&] { return source.request_stop() ? 0 : 1; });
  CHECK(child.outcome() == "exit code 0");
  must(plugin.channel().send(bytes_of("x")));
  receiver.join();
  CHECK(outcome(received) == "ok");
}

TEST_CASE("fork: a child that ends its copies of everything leaves the parent's alone") {
  const auto options = named();
  std::optional<Things> things(std::in_place, must(mews::Session::create(options)));
  os_test::Fork child([&] {
    { const mews::Channel moved_out = std::move(things->plugins[1].channel()); }
    things.reset();
    return 0;
  });
  CHECK(child.outcome() == "exit code 0");

  CHECK(outcome(mews::os::MemoryFile::open_named(mews::detail::memory_name(options.name))) == "ok");
  auto& guest_channel = things->guest->channel();
  must(things->plugins[0].channel().send(bytes_of("still there"), {}, kPatience));
  CHECK(must(guest_channel.receive(kPatience)).text() == "still there");
  CHECK(is_filled(things->messages[1].bytes(), 50'000));
  must(guest_channel.send(std::move(things->loans[2]), {}, kPatience));
  CHECK(must(things->plugins[0].channel().receive(kPatience)).size() == 50'000);
  auto& echo = things->plugins[1];
  CHECK(converse(echo.channel(), 20, 3).empty());
  must(echo.kill(SIGKILL));
  CHECK(must(echo.wait_exit(kPatience)).number == SIGKILL);
}

TEST_CASE("fork: a child has sessions of its own, at whose end nothing is left") {
  auto options = named();
  options.local.watcher = mews::Watcher::none;  // ThreadSanitizer allows a fork's child no thread
  auto parents = must(mews::Session::create(small_arena()));
  os_test::Fork child([&] {
    auto childs = must(mews::Session::create(options));
    const auto memory = mews::detail::memory_name(options.name);
    if (outcome(mews::os::MemoryFile::open_named(memory)) != "ok") return 1;
    auto plugin = must(childs.spawn("echo", command({"echo"})));
    if (!converse(plugin.channel(), 20, 3).empty()) return 2;
    { const mews::Session ended = std::move(childs); }
    if (outcome(plugin.wait_exit(kPatience)) != "closed") return 3;
    return outcome(mews::os::MemoryFile::open_named(memory)) == "no_such_arena" ? 0 : 4;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE(
    "fork: a child that leaves by exit() runs its destructors and leaves the parent's alone") {
  static std::optional<mews::Session> of_the_program;
  of_the_program.emplace(must(mews::Session::create(small_arena())));
  os_test::Fork child([]() -> int { ::exit(0); });
  CHECK(child.outcome() == "exit code 0");
  auto plugin = must(of_the_program->spawn("echo", command({"echo"})));
  must(plugin.kill(SIGKILL));
  CHECK(must(plugin.wait_exit(kPatience)).number == SIGKILL);
  of_the_program.reset();
}
