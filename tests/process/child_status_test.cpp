// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

// Whose status it is to take, and what holds while somebody else has it first.
namespace {

/// A debugger of another process. It sees its death before the parent does, and keeps the status
/// until it is told to let go.
class Debugger {
 public:
  explicit Debugger(pid_t pid)
      : tracer_([this, pid] {
          is_attached_.reader.reset();
          let_go_.writer.reset();
          if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) return 1;
          if (::write(is_attached_.writer.get(), "x", 1) != 1) return 2;
          char told = 0;
          (void)!::read(let_go_.reader.get(), &told, 1);
          int status = 0;
          return ::waitpid(pid, &status, __WALL) == pid ? 0 : 3;
        }) {
    is_attached_.writer.reset();
    let_go_.reader.reset();
    char byte = 0;
    if (::read(is_attached_.reader.get(), &byte, 1) != 1) throw std::runtime_error("no ptrace");
  }
  [[nodiscard]] std::string let_go() {
    let_go_.writer.reset();
    return tracer_.outcome();
  }

 private:
  os_test::Pipe is_attached_ = os_test::make_pipe();
  os_test::Pipe let_go_ = os_test::make_pipe();
  os_test::Fork tracer_;
};

}  // namespace

TEST_CASE(
    "child status: a program's own child that joins by socket stays the program's to wait for") {
  const auto address = "@" + unique_name("mews-test-own-child");
  auto host = must(mews::Session::create());
  must(host.listen(address));
  for (int round = 0; round < 20; ++round) {
    const auto child =
        must(mews::os::spawn({.arguments = command({"socket", address, "crash_on_request"}),
                              .environment = {},
                              .inherited_fds = {}}));
    auto plugin = must(host.admit(kPatience));
    must(plugin.channel().send(bytes_of("x")));
    const auto exit = must(plugin.wait_exit(kPatience));
    CHECK(exit.number == -1);
    CHECK(exit.description == "joiner: gone");
    int status = 0;
    REQUIRE(::waitpid(child.pid, &status, 0) == child.pid);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));
  }
}

TEST_CASE(
    "child status: a debugger that sees a death first delays its news, and not its recovery") {
  auto host = must(mews::Session::create(small_arena()));
  mews::PluginOptions options;
  options.restart = mews::Restart::on_crash;
  auto plugin = must(host.spawn("debugged", command({"crash_on_request"}), options));
  Debugger debugger(plugin.pid());
  const auto first = plugin.pid();
  must(plugin.channel().send(bytes_of("x")));
  CHECK(outcome(plugin.channel().receive(mews::forever)) == "peer_died");
  CHECK(eventually([&] { return !plugin.is_alive(); }));
  CHECK(host.stats().is_all_free());
  CHECK(debugger.let_go() == "exit code 0");
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK((exit.number == 7 && exit.will_restart));
  must(plugin.renew(kPatience));
  CHECK(plugin.is_alive());
  CHECK(eventually([&] { return state_of(first) == '?'; }));
}

TEST_CASE("child status: a debugger that keeps it is named, and leaves no zombie when it lets go") {
  auto host = must(mews::Session::create(small_arena()));
  auto plugin = must(host.spawn("debugged", command({"crash_on_request"})));
  Debugger debugger(plugin.pid());
  must(plugin.channel().send(bytes_of("x")));
  const auto exit = must(plugin.wait_exit(kPatience));
  CHECK(exit.number == -1);
  CHECK_THAT(exit.description, ContainsSubstring("how it ended is not known: a debugger"));
  CHECK(state_of(plugin.pid()) == 'Z');
  CHECK(debugger.let_go() == "exit code 0");
  CHECK(eventually([&] { return state_of(plugin.pid()) == '?'; }));
}

TEST_CASE("child status: one that exits without attaching is said to have done so") {
  auto host = must(mews::Session::create());
  auto good = must(host.spawn("good", {"true"}));
  CHECK(must(good.wait_exit(kPatience)).description ==
        "good: exit code 0, without having attached: does its program call Session::attach?");
  auto bad = must(host.spawn("bad", {"false"}));
  CHECK(must(bad.wait_exit(kPatience)).description == "bad: exit code 1, without having attached");
  auto attached = must(host.spawn("attached", command({"exit", "0"})));
  CHECK(must(attached.wait_exit(kPatience)).description == "attached: exit code 0");
}
