// SPDX-License-Identifier: MIT
#include <signal.h>
#include <unistd.h>

#include <string>

#include "../crash/second_view.hpp"
#include "../support/catch.hpp"
#include "../support/own_maps.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

mews::CreateOptions stray_arena() {
  mews::CreateOptions options;
  options.name = "stray";
  options.size_classes = {{1024, 64}, {1 << 20, 8}, {4 << 20, 4}};
  options.reply_slabs = 0;
  options.max_plugins = 3;
  return options;
}

Words stray(const std::string& place) {
  return {MEWS_TEST_BIN_DIR "/stray_plugin", place};
}

bool has_larger_pages() {
  return ::sysconf(_SC_PAGESIZE) != static_cast<long>(mews::layout::kPageBytes);
}

}  // namespace

TEST_CASE("protection: a plugin that writes where it need not dies of it, and is recovered from") {
  if (has_larger_pages()) SKIP("the system's pages are larger than the arena's");
  const std::string place =
      GENERATE("header", "host_seat", "other_seat", "incoming_cells", "other_cells", "slab");
  INFO(place);
  auto host = must(mews::Session::create(stray_arena()));
  auto plugin = must(host.spawn("stray", stray(place)));
  auto bystander = must(host.spawn("echo", command({"echo"})));
  must(plugin.channel().send(bytes_of("go")));
  CHECK(outcome(plugin.channel().receive(kPatience)) == "peer_died");
  const auto end = must(plugin.wait_exit(kPatience));
  CHECK_THAT(end.description, Catch::Matchers::ContainsSubstring("signal 11"));
  CHECK(converse(bystander.channel(), 20, 1).empty());
  auto next = must(host.spawn("next", command({"echo"})));
  CHECK(converse(next.channel(), 20, 2).empty());
  CHECK(host.stats().is_all_free());
}

TEST_CASE("protection: a plugin may write to its own seat and to the cells that it fills") {
  const std::string place = GENERATE("own_seat", "outgoing_cells");
  INFO(place);
  auto host = must(mews::Session::create(stray_arena()));
  auto plugin = must(host.spawn("stray", stray(place)));
  must(plugin.channel().send(bytes_of("go")));
  CHECK(must(plugin.channel().receive(kPatience)).text() == "survived");
}

TEST_CASE("protection: the host maps the header read-only, and cells and slabs not before use") {
  if (has_larger_pages()) SKIP("the system's pages are larger than the arena's");
  auto host = must(mews::Session::create(stray_arena()));
  auto plugin = must(host.spawn("echo", command({"echo"})));
  CHECK(converse(plugin.channel(), 5, 1).empty());
  const auto loan = must(plugin.channel().loan(3 << 20));
  const auto parts = mews_test::own_maps("mews-stray");
  const auto view = mews_test::second_view("stray");
  REQUIRE(view);
  const auto& geometry = view->geometry();
  const auto permissions = [&](std::uint64_t offset) {
    return mews_test::part_at(parts, offset).permissions;
  };
  CHECK(permissions(0) == "r--s");
  CHECK(permissions(geometry.seats_offset) == "rw-s");
  CHECK(permissions(geometry.cells_offset) == "rw-s");
  CHECK(permissions(geometry.cells_offset + 2 * geometry.lane_cells_bytes()) == "---s");
  const auto& largest = geometry.classes[2];
  CHECK(permissions(largest.slabs_offset) == "rw-s");
  CHECK(permissions(largest.slabs_offset + 3 * largest.slab_bytes) == "---s");
}
