// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <atomic>
#include <future>
#include <string>

#include "../support/catch.hpp"
#include "../support/children.hpp"
#include "../unit/os_support.hpp"
#include "exec_gate.hpp"
#include "mews/base/sanitizer.hpp"
#include "site.hpp"

using namespace process_test;
using mews_test::has_no_child;

// A start that is stuck between its process's beginning and its program.
namespace {

constexpr int kNoGate = 77;

/// Does `body` with a gate before a program of its own, in a process of its own.
template <class Body>
std::string with_gate(Body body) {
  const os_test::TempDir directory;
  const auto program = directory.file("a");
  if (::symlink(MEWS_TEST_BIN_DIR "/role_plugin", program.c_str()) != 0) return "no link";
  os_test::Fork child([&] {
    ExecGate gate(program);
    return gate.is_there() ? body(gate, program) : kNoGate;
  });
  return child.outcome();
}

#define CHECK_WITH_GATE(body)                                                         \
  if (mews::base::kIsThreadSanitized) SKIP("ThreadSanitizer cannot follow the gate"); \
  const auto ended = with_gate(body);                                                 \
  if (ended == "exit code 77") SKIP("no seccomp gate");                               \
  CHECK(ended == "exit code 0")

mews::CreateOptions host_options(std::chrono::nanoseconds timeout) {
  auto options = small_arena();
  options.local.default_timeout = timeout;
  return options;
}

}  // namespace

TEST_CASE("stuck start: it delays nobody else's start, death, restart or exit") {
  CHECK_WITH_GATE(([](ExecGate& gate, const std::string& program) {
    auto host = must(mews::Session::create(host_options(kPatience)));
    mews::PluginOptions options;
    options.restart = mews::Restart::on_crash;
    auto other = must(host.spawn("other", command({"crash_on_request"}), options));
    auto stuck = std::async(std::launch::async, [&] {
      return host.spawn("stuck", {program, "echo"});
    });
    if (!eventually([&] { return gate.count() == 1; })) return 1;

    must(other.channel().send(bytes_of("x")));
    if (must(other.wait_exit(kPatience)).number != 7) return 2;
    must(other.renew(kPatience));
    if (!other.is_alive()) return 3;
    auto next = must(host.spawn("next", command({"echo"})));
    if (!converse(next.channel(), 5, 1).empty()) return 4;
    must(next.channel().close());
    if (must(next.wait_exit(kPatience)).number != 0) return 5;
    if (stuck.wait_for(0s) == std::future_status::ready) return 6;

    gate.open();
    auto plugin = must(stuck.get());
    return converse(plugin.channel(), 5, 2).empty() ? 0 : 7;
  }));
}

TEST_CASE("stuck start: at its deadline the process is killed, and the error says where it was") {
  CHECK_WITH_GATE(([](ExecGate&, const std::string& program) {
    auto options = host_options(0s);  // counts as two seconds
    options.max_plugins = 1;
    auto host = must(mews::Session::create(options));
    for (int i = 0; i < 2; ++i) {
      const auto plugin = host.spawn("stuck", {program, "echo"});
      if (outcome(plugin) != "timed_out") return 1;
      const auto text = plugin.error().message();
      if (text.find(program) == std::string::npos) return 2;
      if (text.find("executing the program") == std::string::npos) return 3;
      if (!eventually(has_no_child)) return 4;
    }
    auto next = must(host.spawn("next", command({"echo"})));
    return converse(next.channel(), 5, 1).empty() ? 0 : 5;
  }));
}

TEST_CASE("stuck start: a restart that is stuck is given up, and delays nobody either") {
  CHECK_WITH_GATE(([](ExecGate& gate, const std::string& program) {
    gate.open();
    std::atomic<int> given_up{0};
    auto host = must(mews::Session::create(host_options(2s)));
    mews::PluginOptions options;
    options.restart = mews::Restart::on_crash;
    options.on_exit = [&](const mews::PluginExit& exit) { given_up += exit.gave_up ? 1 : 0; };
    auto plugin = must(host.spawn("stuck", {program, "crash_on_request"}, options));
    gate.close();
    must(plugin.channel().send(bytes_of("x")));
    if (!must(plugin.wait_exit(kPatience)).will_restart) return 1;
    if (!eventually([&] { return gate.count() == 1; })) return 2;
    auto other = must(host.spawn("other", command({"crash_on_request"})));
    must(other.channel().send(bytes_of("x")));
    if (must(other.wait_exit(kPatience)).number != 7) return 3;
    if (outcome(plugin.renew(kPatience)) != "timed_out") return 4;
    if (!eventually([&] { return given_up == 1; })) return 5;
    return eventually(has_no_child) ? 0 : 6;
  }));
}

TEST_CASE("stuck start: a shutdown gives it up, and leaves no process") {
  CHECK_WITH_GATE(([](ExecGate& gate, const std::string& program) {
    auto host = must(mews::Session::create(host_options(kPatience)));
    auto stuck = std::async(std::launch::async, [&] {
      return host.spawn("stuck", {program, "echo"});
    });
    if (!eventually([&] { return gate.count() == 1; })) return 1;
    if (!must(host.shutdown(kPatience)).is_clean()) return 2;
    if (outcome(stuck.get()) != "closed") return 3;
    return eventually(has_no_child) ? 0 : 4;
  }));
}

TEST_CASE("stuck start: stopping a plugin gives its restart up") {
  CHECK_WITH_GATE(([](ExecGate& gate, const std::string& program) {
    gate.open();
    auto host = must(mews::Session::create(host_options(kPatience)));
    mews::PluginOptions options;
    options.restart = mews::Restart::on_crash;
    auto plugin = must(host.spawn("stuck", {program, "crash_on_request"}, options));
    gate.close();
    must(plugin.channel().send(bytes_of("x")));
    if (!eventually([&] { return gate.count() == 1; })) return 1;
    if (must(plugin.stop(kPatience)).number != 7) return 2;
    return eventually(has_no_child) ? 0 : 3;
  }));
}
