// SPDX-License-Identifier: MIT
// "PLACE": waits for a message, then writes one byte to that place of the arena, through the
// mapping that the library made; answers if it survives that.
#include <signal.h>
#include <sys/resource.h>

#include <cstdio>
#include <exception>
#include <map>

#include "../crash/second_view.hpp"
#include "../support/own_maps.hpp"
#include "ends.hpp"

namespace {

using namespace process_test;

/// The place's offset in the arena, for the plugin in seat 1.
std::uint64_t offset_of(const mews::layout::Geometry& geometry, const std::string& place) {
  constexpr auto kPage = mews::layout::kPageBytes;
  const auto lane = [&](std::uint64_t id) {
    return geometry.cells_offset + id * geometry.lane_cells_bytes();
  };
  const auto& largest = geometry.classes[geometry.class_count - 1];
  const std::map<std::string, std::uint64_t> places{
      {"header", 100},
      {"host_seat", geometry.seats_offset},
      {"own_seat", geometry.seats_offset + kPage + 1000},
      {"other_seat", geometry.seats_offset + 2 * kPage},
      {"incoming_cells", lane(0)},
      {"outgoing_cells", lane(1) + geometry.lane_cells_bytes() - 1},
      {"other_cells", lane(2)},
      {"slab", largest.slabs_offset + (largest.slab_count - 1) * largest.slab_bytes},
  };
  return places.at(place);
}

int run(const std::string& place) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler of its own
  auto session = must(mews::Session::attach());
  const auto parts = mews_test::own_maps("mews-stray");
  const auto view = mews_test::second_view("stray");
  if (!view) return 97;
  const auto offset = offset_of(view->geometry(), place);
  must(session.channel().receive(kPatience));
  const auto& part = mews_test::part_at(parts, offset);
  *reinterpret_cast<volatile char*>(part.begin + (offset - part.offset)) = 0;
  must(session.channel().send(bytes_of("survived")));
  static_cast<void>(session.channel().receive(mews::forever));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return argc == 2 ? run(argv[1]) : 98;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "stray_plugin: %s\n", failure.what());
    return 99;
  }
}
