// SPDX-License-Identifier: MIT
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

mews::CreateOptions named(const std::string& name) {
  mews::CreateOptions options;
  options.name = name;
  options.backing = mews::Backing::named;
  return options;
}

/// A program that joins by itself, not started as a plugin.
mews::os::Child start(const Words& words) {
  return must(
      mews::os::spawn({.arguments = command(words), .environment = {}, .inherited_fds = {}}));
}

/// Admits the program that was started with `words`, and hears its echo.
void check_joins(mews::Session& host, const Words& words) {
  const auto child = start(words);
  {
    auto plugin = must(host.admit(kPatience));
    CHECK(plugin.pid() == child.pid);
    CHECK(plugin.name() == "joiner");
    must(plugin.channel().send(bytes_of(std::string(5000, 'a'))));
    CHECK(must(plugin.channel().receive(kPatience)).size() == 5000);
  }
  CHECK(mews::os::wait_for_exit(child.pidfd.get(), kPatience));
}

/// A child of another user tries to join; the error's name on its exit code.
int join_as_nobody(const mews::AttachOptions& options) {
  os_test::Fork child([&options] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 250;
    const auto session = mews::Session::attach(options);
    return session ? 251 : static_cast<int>(session.error().code());
  });
  const auto text = child.outcome();
  return std::stoi(text.substr(text.rfind(' ') + 1));
}

}  // namespace

TEST_CASE("attach: a spawned plugin finds its host by what it inherited") {
  Site site(Where::two_processes, {"echo"});
  CHECK(site.round_trip(100) == "the same");
  CHECK(site.host().stats().plugins == 1);
  CHECK(site.plugin().is_alive());
}

TEST_CASE("attach: an inherited invitation is used once; a second attach leaves the first be") {
  Site site(Where::two_processes, {"twice", "echo"});
  for (const auto bytes : {0u, 100u, 5000u, 3u << 20})
    CHECK(site.round_trip(bytes) == "the same");
  CHECK(site.host().stats().plugins == 1);
  must(site.plugin().kill(SIGKILL));
  CHECK(outcome(site.channel().receive(kPatience)) == "peer_died");
}

// UndefinedBehaviorSanitizer looks at types through a pipe, for which there is no descriptor here.
#if !defined(__SANITIZE_ADDRESS__)
TEST_CASE("attach: after an attach that failed for want of descriptors, the next one can succeed") {
  Site site(Where::two_processes, {"starved", "echo"});
  CHECK(site.round_trip(5000) == "the same");
  CHECK(site.channel().event_fd() >= 0);
}
#endif

TEST_CASE("attach: of two threads that attach at once by what they inherited, one gets the seat") {
  for (int i = 0; i < 20; ++i) {
    Site site(Where::two_processes, {"both", "echo"});
    CHECK(site.round_trip(5000) == "the same");
  }
}

TEST_CASE(
    "attach: a program joins by a socket's path, by an abstract name, and by the arena's name") {
  const os_test::TempDir directory;
  const auto kind = GENERATE(0, 1, 2);
  const auto name = unique_name("mews-test-join");
  auto host = must(mews::Session::create(kind == 2 ? named(name) : mews::CreateOptions{}));
  const auto address = kind == 0 ? directory.file("a") : "@" + name;
  if (kind < 2) must(host.listen(address));
  if (kind == 0) {
    struct stat status {};
    REQUIRE(::stat(address.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
  }
  check_joins(host, {kind == 2 ? "name" : "socket", kind == 2 ? name : address, "echo"});
  check_joins(host, {kind == 2 ? "name" : "socket", kind == 2 ? name : address, "echo"});
}

TEST_CASE("attach: without an arena to be found, the error says what to do") {
  ::unsetenv("MEWS_ARENA");
  const auto lost = mews::Session::attach();
  CHECK(outcome(lost) == "no_such_arena");
  CHECK_THAT(lost.error().message(), ContainsSubstring("Session::spawn"));

  for (const char* text :
       {"", "1:2", "900:901:902:903:1:1:1:1", "-1:-1:-1:-1:1:1:1:1", "x:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "99999999999:1:1:1:1:1:1:1"}) {
    ::setenv("MEWS_ARENA", text, 1);
    CHECK(outcome(mews::Session::attach()) == "no_such_arena");
  }
  ::unsetenv("MEWS_ARENA");
  CHECK(outcome(mews::Session::attach({.socket = "@mews-test-nobody-is-here"})) == "no_such_arena");
  CHECK(outcome(mews::Session::attach({.socket = "/nonexistent/socket"})) == "no_such_arena");
  CHECK(outcome(mews::Session::attach({.name = "mews-test-nobody-is-here"})) == "no_such_arena");
  CHECK(outcome(mews::Session::attach({.name = "a/b"})) == "invalid_argument");
}

TEST_CASE("attach: options that contradict each other, or are no name, are refused by name") {
  const auto sentence = [](const mews::AttachOptions& options) {
    const auto session = mews::Session::attach(options);
    return session ? "ok" : outcome(session) + " " + session.error().message();
  };
  for (const auto& [text, options] : std::vector<std::pair<std::string, mews::AttachOptions>>{
           {"socket", {.socket = "@mews-test-nobody-is-here", .name = "mews-test-nobody-is-here"}},
           {"name \"a b\"", {.name = "a b"}},
           {"as \"a/b\"", {.socket = "@mews-test-nobody-is-here", .as = "a/b"}},
           {"as \"xx", {.name = "mews-test-nobody-is-here", .as = std::string(40, 'x')}},
           {"as \"xx", {.as = std::string(40, 'x')}}}) {
    CHECK_THAT(sentence(options), ContainsSubstring("invalid_argument") && ContainsSubstring(text));
  }
}

TEST_CASE("attach: another user is refused by name, by path and by abstract socket") {
  if (::geteuid() != 0) SKIP("only root can become another user");
  const os_test::TempDir directory;
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  const auto name = unique_name("mews-test-private");
  auto by_name = must(mews::Session::create(named(name)));
  auto by_path = must(mews::Session::create());
  must(by_path.listen(directory.file("a")));
  auto abstract = must(mews::Session::create());
  must(abstract.listen("@" + name));
  constexpr auto kDenied = static_cast<int>(mews::ErrorCode::permission_denied);

  CHECK(join_as_nobody({.name = name}) == kDenied);
  CHECK(join_as_nobody({.socket = directory.file("a")}) == kDenied);
  auto admitted = std::async(std::launch::async, [&] { return abstract.admit(kPatience); });
  CHECK(join_as_nobody({.socket = "@" + name}) == kDenied);
  const auto child = start({"socket", "@" + name, "echo"});
  CHECK(must(admitted.get()).pid() == child.pid);
}

TEST_CASE(
    "attach: while the host does not admit, the error says so, and a later caller is served") {
  const auto address = "@" + unique_name("mews-test-busy");
  auto host = must(mews::Session::create());
  must(host.listen(address));
  const auto early = mews::Session::attach({.socket = address, .timeout = 50ms});
  CHECK(outcome(early) == "timed_out");
  CHECK_THAT(early.error().message(), ContainsSubstring("did not call admit()"));
  check_joins(host, {"socket", address, "echo"});
}

TEST_CASE("attach: a seat is a host's to give, and there are only so many") {
  mews::CreateOptions options;
  options.max_plugins = 2;
  auto host = must(mews::Session::create(options));
  auto first = must(host.connect("first"));
  auto second = must(host.connect("second"));
  CHECK(outcome(host.connect("third")) == "too_many_peers");
  CHECK(outcome(host.spawn("third", command({"echo"}))) == "too_many_peers");
  const auto address = "@" + unique_name("mews-test-full");
  must(host.listen(address));
  const auto child = start({"socket", address, "echo"});
  CHECK(outcome(host.admit(kPatience)) == "too_many_peers");
  REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kPatience));
  CHECK(must(mews::Result<mews::os::ExitStatus>(*mews::os::reap(child.pidfd.get()))).number ==
        100 + static_cast<int>(mews::ErrorCode::too_many_peers));

  CHECK(outcome(second.second.spawn("x", command({"echo"}))) == "invalid_argument");
  CHECK(outcome(second.second.connect("x")) == "invalid_argument");
  { const auto gone = std::move(first); }
  CHECK(eventually([&] { return host.stats().plugins == 1; }));
  CHECK(eventually([&] { return host.connect("third").has_value(); }));
}

TEST_CASE("attach: two living hosts cannot have one name, and nothing is left when they are gone") {
  const auto name = unique_name("mews-test-twice");
  const auto memory = "/dev/shm/mews-" + name;
  {
    auto host = must(mews::Session::create(named(name)));
    CHECK(outcome(mews::Session::create(named(name))) == "already_exists");
    CHECK(::access(memory.c_str(), F_OK) == 0);
    check_joins(host, {"name", name, "echo"});
  }
  CHECK(::access(memory.c_str(), F_OK) != 0);
  CHECK(outcome(mews::Session::create(named(name))) == "ok");
}

TEST_CASE("attach: what a killed host left under its name is recognised and replaced") {
  const auto name = unique_name("mews-test-stale");
  os_test::Fork host([&name] {
    auto session = mews::Session::create(named(name));
    if (!session) return 1;
    ::raise(SIGKILL);
    return 2;
  });
  REQUIRE(host.outcome() == "signal 9 (Killed)");
  REQUIRE(::access(("/dev/shm/mews-" + name).c_str(), F_OK) == 0);
  const auto stale = mews::Session::attach({.name = name});
  CHECK(outcome(stale) == "host_died");
  CHECK_THAT(stale.error().message(),
             ContainsSubstring("the next create of that name replaces it"));
  auto next = must(mews::Session::create(named(name)));
  check_joins(next, {"name", name, "echo"});
}

TEST_CASE("attach: options that cannot be are named") {
  const auto sentence = [](void (*change)(mews::CreateOptions&)) {
    mews::CreateOptions options;
    change(options);
    const auto session = mews::Session::create(options);
    return session ? "ok" : outcome(session) + " " + session.error().message();
  };
  using O = mews::CreateOptions;
  for (const auto& [text,
                    change] : std::vector<std::
                                              pair<
                                                  std::string,
                                                  void (*)(
                                                      O&)>>{{"name", [](O& o) { o.name = ""; }},
                                                            {"name", [](O& o) { o.name = "a/b"; }},
                                                            {"name",
                                                             [](O& o) {
                                                               o.name = std::string(40, 'x');
                                                             }},
                                                            {"max_plugins",
                                                             [](O& o) { o.max_plugins = 0; }},
                                                            {"max_plugins",
                                                             [](O& o) { o.max_plugins = 4096; }},
                                                            {"ring_cells",
                                                             [](O& o) { o.ring_cells = 0; }},
                                                            {"ring_cells",
                                                             [](O& o) { o.ring_cells = 100; }},
                                                            {"size_classes has no rows",
                                                             [](O& o) { o.size_classes = {}; }},
                                                            {"size_classes has too many rows",
                                                             [](O& o) {
                                                               o.size_classes.assign(30, {4096, 1});
                                                             }},
                                                            {"size_classes together exceed",
                                                             [](O& o) {
                                                               o.size_classes = {
                                                                   {std::uint64_t{1} << 32,
                                                                    1u << 24}};
                                                             }},
                                                            {"fallback_classes",
                                                             [](O& o) { o.fallback_classes = 17; }},
                                                            {"size_classes[0].slab_bytes",
                                                             [](O& o) {
                                                               o.size_classes = {{3000, 1}};
                                                             }},
                                                            {"size_classes[1].slab_bytes",
                                                             [](O& o) {
                                                               o.size_classes = {{4096, 1},
                                                                                 {1024, 1}};
                                                             }},
                                                            {"size_classes[0].slab_count",
                                                             [](O& o) {
                                                               o.size_classes = {{4096, 0}};
                                                             }}}) {
    CHECK_THAT(sentence(change), ContainsSubstring("invalid_argument") && ContainsSubstring(text));
    CHECK_THAT(sentence(change),
               !ContainsSubstring("class_count") && !ContainsSubstring(" classes["));
  }
}
