// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdlib.h>

#include <optional>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "core/names.hpp"
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

}  // namespace

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
