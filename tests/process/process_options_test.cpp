// SPDX-License-Identifier: MIT
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "../support/catch.hpp"
#include "../support/children.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;
using mews::StandardStream;
using mews_test::has_no_child;

namespace {

/// What a script writes to its standard output as a plugin.
std::string said(mews::Session& host, const std::string& script, mews::PluginOptions options) {
  auto pipe = os_test::make_pipe();
  options.process.standard_output = StandardStream::descriptor(pipe.writer.get());
  {
    auto plugin = host.spawn("script", {"sh", "-c", script}, options);
    if (!plugin) return plugin.error().message();
    pipe.writer.reset();  // the session has its own, until the plugin is forgotten
    must(plugin->wait_exit(kPatience));
  }
  return os_test::read_all(pipe.reader.get());
}

std::string target_of(int fd) {
  return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd)).string();
}

constexpr const char* kListDescriptors = "for f in /proc/$$/fd/*; do readlink $f; done";

}  // namespace

TEST_CASE("process options: a plugin begins in its working directory") {
  const os_test::TempDir directory;
  auto host = must(mews::Session::create());
  mews::PluginOptions options;
  options.process.working_directory = directory.path();
  CHECK(said(host, "pwd -P", options) == directory.path() + "\n");
  CHECK(std::filesystem::current_path() != directory.path());
}

TEST_CASE("process options: a step that fails is named with its errno, and leaves no process") {
  os_test::Fork child([] {
    auto host = must(mews::Session::create(small_arena()));
    mews::PluginOptions nowhere;
    nowhere.process.working_directory = "/nonexistent/place";
    const auto lost = host.spawn("lost", {"true"}, nowhere);
    if (outcome(lost) != "spawn_failed" || lost.error().os_errno() != ENOENT) return 1;
    const auto text = lost.error().message();
    if (text.find("working directory /nonexistent/place") == std::string::npos) return 2;
    mews::PluginOptions inside_out;
    inside_out.process.limits = {{RLIMIT_NOFILE, 64, 32}};
    const auto limited = host.spawn("limited", {"true"}, inside_out);
    if (outcome(limited) != "spawn_failed" || limited.error().os_errno() != EINVAL) return 3;
    if (limited.error().message().find("resource limit") == std::string::npos) return 4;
    if (!has_no_child()) return 5;
    return outcome(host.spawn("next", command({"echo"}))) == "ok" ? 0 : 6;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("process options: what cannot be is invalid_argument, and starts nothing") {
  os_test::Fork child([] {
    auto host = must(mews::Session::create(small_arena()));
    std::vector<mews::PluginOptions> wrong(4);
    wrong[0].process.nice = 20;
    wrong[1].process.standard_input = StandardStream::descriptor(-1);
    wrong[2].process.standard_error = StandardStream::descriptor(9999);
    wrong[3].process.inherited_fds = {9999};
    for (const auto& options : wrong) {
      if (outcome(host.spawn("none", {"true"}, options)) != "invalid_argument") return 1;
    }
    return has_no_child() ? 0 : 2;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("process options: standard streams lead to nothing, or to a descriptor") {
  auto host = must(mews::Session::create());
  mews::PluginOptions options;
  options.process.standard_input = StandardStream::null();
  CHECK(said(host, "cat; echo done", options) == "done\n");
  auto pipe = os_test::make_pipe();
  options.process.standard_error = StandardStream::descriptor(pipe.writer.get());
  CHECK(said(host, "echo out; echo err >&2", options) == "out\n");
  pipe.writer.reset();
  CHECK(os_test::read_all(pipe.reader.get()) == "err\n");
  options.process.standard_error = StandardStream::null();
  CHECK(said(host, "readlink /proc/self/fd/2", options) == "/dev/null\n");
}

TEST_CASE("process options: by default a plugin has the host's standard streams") {
  auto host = must(mews::Session::create());
  CHECK(said(host, "readlink /proc/$$/fd/2", {}) == target_of(2) + "\n");
}

TEST_CASE("process options: a restart has the same streams, though the host has closed its own") {
  auto host = must(mews::Session::create());
  auto pipe = os_test::make_pipe();
  mews::PluginOptions options;
  options.restart = mews::Restart::on_crash;
  options.process.standard_output = StandardStream::descriptor(pipe.writer.get());
  auto plugin = must(host.spawn("twice", {"sh", "-c", "echo $$; exec sleep 600"}, options));
  pipe.writer.reset();
  const auto read_pid = [&] {
    std::array<char, 32> text{};
    return ::read(pipe.reader.get(), text.data(), text.size() - 1) > 0 ? std::stoi(text.data()) : 0;
  };
  CHECK(read_pid() == plugin.pid());
  must(plugin.kill(SIGKILL));
  must(plugin.renew(kPatience));
  CHECK(read_pid() == plugin.pid());
  must(plugin.stop(0ms));
}

TEST_CASE("process options: a plugin inherits nothing of the host's but what is asked for") {
  std::array<int, 2> pair{-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0);  // not close-on-exec
  const mews::os::UniqueFd unasked(pair[0]);
  const mews::os::UniqueFd asked(pair[1]);
  auto host = must(mews::Session::create());
  mews::PluginOptions options;
  const auto nothing = said(host, kListDescriptors, options);
  CHECK_THAT(nothing, !ContainsSubstring(target_of(unasked.get())));
  CHECK_THAT(nothing, !ContainsSubstring(target_of(asked.get())));
  options.process.inherited_fds = {asked.get()};
  const auto one = said(host, kListDescriptors, options);
  CHECK_THAT(one, !ContainsSubstring(target_of(unasked.get())));
  CHECK_THAT(one, ContainsSubstring(target_of(asked.get())));
}

TEST_CASE("process options: Ctrl-C does not reach a plugin in a group or session of its own") {
  const auto group = GENERATE(mews::ProcessGroup::inherited, mews::ProcessGroup::own_group,
                              mews::ProcessGroup::own_session);
  os_test::Fork child([group] {
    ::setpgid(0, 0);
    ::signal(SIGINT, SIG_IGN);
    auto host = must(mews::Session::create(small_arena()));
    mews::PluginOptions options;
    options.process.group = group;
    auto plugin = must(host.spawn("plugin", command({"echo"}), options));
    auto witness = must(host.spawn("witness", command({"mute"})));
    must(witness.channel().receive(kPatience));
    if (!converse(plugin.channel(), 3, 1).empty()) return 1;
    ::kill(0, SIGINT);
    if (must(witness.wait_exit(kPatience)).number != SIGINT) return 2;
    const bool is_reached = !converse(plugin.channel(), 3, 2).empty();
    if (is_reached != (group == mews::ProcessGroup::inherited)) return 3;
    if (is_reached) return 0;
    const bool has_session = ::getsid(plugin.pid()) == plugin.pid();
    if (has_session != (group == mews::ProcessGroup::own_session)) return 4;
    return ::getpgid(plugin.pid()) == plugin.pid() ? 0 : 5;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("process options: a plugin has its own nice value and resource limits") {
  auto host = must(mews::Session::create());
  mews::PluginOptions options;
  options.process.nice = 7;
  options.process.limits = {{RLIMIT_NOFILE, 200, 300}, {RLIMIT_CORE, 0, 0}};
  CHECK(said(host, "nice; ulimit -Sn; ulimit -Hn; ulimit -c", options) == "7\n200\n300\n0\n");
  CHECK(::getpriority(PRIO_PROCESS, 0) != 7);
}

TEST_CASE("process options: a clean environment has what is given, and the way to the arena") {
  auto host = must(mews::Session::create());
  mews::PluginOptions options;
  options.environment = {"WEATHER=sun"};
  options.process.base_environment = mews::BaseEnvironment::clean;
  const std::string names = "env | grep -v '^\\(PWD\\|SHLVL\\|_\\)=' | cut -d= -f1 | sort";
  CHECK(said(host, names, options) == "MEWS_ARENA\nWEATHER\n");
  auto plugin = must(host.spawn("echo", command({"echo"}), options));
  CHECK(converse(plugin.channel(), 3, 1).empty());
}
