// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/process.hpp"
#include "site.hpp"
#include "standard_fds.hpp"

using namespace process_test;

namespace {

/// One life of a host whose standard descriptors in `closed` are closed, as are its plugins'.
int host_without(unsigned closed, mews::Backing backing) {
  for (int fd = 0; fd < 3; ++fd)
    if ((closed >> fd & 1) != 0) ::close(fd);
  auto options = small_arena();
  options.name = unique_name("standard");
  options.backing = backing;
  auto host = must(mews::Session::create(options));
  const auto address = "@" + options.name;
  if (backing == mews::Backing::anonymous) must(host.listen(address));
  auto guest = must(host.connect("guest"));
  auto plugin = must(host.spawn("plugin", command({"standard", std::to_string(closed)})));
  const Words words =
      backing == mews::Backing::anonymous ? Words{"socket", address} : Words{"name", options.name};
  auto arguments = command({words[0], words[1], "standard", std::to_string(closed)});
  const auto child = must(
      mews::os::spawn({.arguments = std::move(arguments), .environment = {}, .inherited_fds = {}}));
  auto joined = must(host.admit(kPatience));
  for (auto* handle : {&plugin, &joined}) {
    if (must(handle->channel().receive(kPatience)).text() != "none is open") return 2;
    if (const auto wrong = print_everywhere(closed); !wrong.empty()) return 3;
    if (!converse(handle->channel(), 20, 7).empty()) return 4;
    must(handle->channel().close());
    if (!handle->wait_exit(kPatience)) return 5;
  }
  return must(host.shutdown(kPatience)).is_clean() ? 0 : 6;
}

}  // namespace

TEST_CASE("standard descriptors: what is closed stays closed, and a print does not hit the arena") {
  const auto closed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u);
  const auto backing = GENERATE(mews::Backing::anonymous, mews::Backing::named);
  INFO("closed: " << closed);
  os_test::Fork child([&] { return host_without(closed, backing); });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("standard descriptors: a plugin may be started without, by a host that has them") {
  auto host = must(mews::Session::create(small_arena()));
  auto plugin = must(host.spawn("plugin", {"sh", "-c", "exec \"$0\" \"$@\" <&- >&- 2>&-",
                                           MEWS_TEST_BIN_DIR "/role_plugin", "standard", "7"}));
  CHECK(must(plugin.channel().receive(kPatience)).text() == "none is open");
  CHECK(converse(plugin.channel(), 20, 7).empty());
}
