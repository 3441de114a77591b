// SPDX-License-Identifier: MIT
// "echo": a plugin that behaves. "lanes SEED" and "arena SEED": one that sends and receives for a
// while and then overwrites its own lanes and slabs, or words anywhere in the arena, until it is
// killed.
#include <fcntl.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "../process/roles.hpp"
#include "../support/random.hpp"
#include "mews/mem/arena.hpp"

namespace {

using namespace process_test;
using mews_test::Random;

/// The arena as it was inherited, mapped once more, and this plugin's seat in it.
struct View {
  mews::mem::Arena arena;
  mews::os::Mapping raw;
  std::uint32_t seat;
};

View view_of_environment() {
  const char* text = std::getenv("MEWS_ARENA");
  int fds[4] = {};
  unsigned seat = 0;
  if (text == nullptr ||
      std::sscanf(text, "%d:%d:%d:%d:%u", &fds[0], &fds[1], &fds[2], &fds[3], &seat) != 5) {
    throw std::runtime_error("no arena in the environment");
  }
  mews::os::UniqueFd fd(::fcntl(fds[0], F_DUPFD_CLOEXEC, 0));
  auto arena = must(mews::mem::Arena::attach(mews::os::MemoryFile::adopt(std::move(fd)), 1s));
  auto raw = must(mews::os::Mapping::map(arena.file(), arena.geometry().arena_bytes));
  return {std::move(arena), std::move(raw), seat};
}

void scribble_cell(const View& view, Random& random, std::uint64_t position) {
  const mews::LaneId lane{2 * view.seat - 1};
  const auto cells = view.arena.cells(lane);
  auto& cell = cells[(position + random() % 4) & (cells.size() - 1)];
  cell.extent = random() % 3 == 0 ? random() : cell.extent ^ std::uint64_t{1} << random() % 64;
  cell.generation ^= 1u << random() % 32;
  // The right position more often than not, so that what follows it is looked at.
  const auto sequence = mews::layout::mark_sequence(position + random() % 4);
  cell.mark.store(random() % 5 == 0 ? random() : sequence | (random() & 0xffff),
                  std::memory_order_release);
}

void scribble_lanes(const View& view, Random& random) {
  for (const auto lane_index : {2 * view.seat - 2, 2 * view.seat - 1}) {
    auto& lane = view.arena.lane(mews::LaneId{lane_index});
    switch (random() % 6) {
      case 0:
        lane.head.store(random(), std::memory_order_relaxed);
        break;
      case 1:
        lane.data_bell.store(static_cast<std::uint32_t>(random()), std::memory_order_relaxed);
        break;
      case 2:
        lane.space_bell.store(static_cast<std::uint32_t>(random()), std::memory_order_relaxed);
        break;
      case 3:
        lane.head.fetch_add(1, std::memory_order_relaxed);
        break;
      default:
        scribble_cell(view, random, random() % 64);
        break;
    }
  }
}

void scribble_anywhere(const View& view, Random& random) {
  const auto& geometry = view.arena.geometry();
  auto* base = view.raw.bytes().data();
  const auto end = geometry.classes[0].slabs_offset;
  const auto word = random() % 2 == 0 ? random() : random() % 16;
  std::memcpy(base + random() % (end / 8) * 8, &word, sizeof word);
}

[[noreturn]] void scribble(mews::Channel& channel, const View& view, const Words& words) {
  Random random(std::stoull(words.at(1)));
  for (std::uint64_t i = 0; i < random() % 30; ++i) {
    auto loan = must(channel.loan(mixed_size(random()), 1s));
    fill(loan.bytes(), i);
    static_cast<void>(channel.try_send(std::move(loan)));
  }
  for (;;) {
    for (int i = 0; i < 200; ++i) {
      words.at(0) == "lanes" ? scribble_lanes(view, random) : scribble_anywhere(view, random);
    }
    std::this_thread::sleep_for(1ms);
  }
}

int run(const Words& words) {
  if (words.at(0) == "echo") {
    auto session = must(mews::Session::attach());
    return echo(session.channel());
  }
  const auto view = view_of_environment();
  auto session = must(mews::Session::attach());
  scribble(session.channel(), view, words);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Words(argv + 1, argv + argc));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "scribble_plugin: %s\n", failure.what());
    return 99;
  }
}
