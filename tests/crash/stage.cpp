// SPDX-License-Identifier: MIT
#include "crash/stage.hpp"

#include <unistd.h>

#include <algorithm>

#include "crash/table.hpp"
#include "mews/mem/census.hpp"
#include "support/arena_fixture.hpp"

namespace mews_test {
namespace {

mews::CreateOptions options_for(const std::string& name, mews::Watcher watcher) {
  mews::CreateOptions options;
  options.name = name;
  options.backing = mews::Backing::named;  // so that the test can map it once more
  options.size_classes = crash_classes();
  options.ring_cells = kRingCells;
  options.max_plugins = 6;
  options.local.watcher = watcher;
  options.local.spin_limit = std::chrono::nanoseconds(0);
  return options;
}

std::string chunks_of(const mews::mem::Arena& arena, mews::PeerId dead) {
  for (std::uint32_t c = 0; c < arena.class_count(); ++c) {
    const auto& view = arena.view(mews::ClassId{c});
    for (std::uint32_t chunk = 0; chunk < view.geometry.chunk_count; ++chunk) {
      if (view.owners[chunk].load(std::memory_order_acquire) == dead.value() + 1) {
        return "a chunk of class " + std::to_string(c) + " is still the dead peer's home; ";
      }
    }
  }
  return "";
}

std::string holders_in(const mews::mem::Audit& audit) {
  std::string text;
  for (const auto& holding : audit.peers) {
    text += "peer " + std::to_string(holding.peer.value()) + " holds " +
            std::to_string(holding.held) + " and has " + std::to_string(holding.in_flight) +
            " in flight; ";
  }
  for (const auto& row : audit.classes) {
    if (row.bad != 0) text += std::to_string(row.bad) + " impossible words; ";
  }
  return text;
}

}  // namespace

std::string Stage::next_name() {
  static int count = 0;
  return "crash-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

Stage::Stage(mews::Watcher watcher)
    : name_(next_name()),
      host_(value_or_throw(mews::Session::create(options_for(name_, watcher)))),
      arena_(value_or_throw(mews::mem::Arena::attach(
          value_or_throw(mews::os::MemoryFile::open_named("mews-" + name_)),
          std::chrono::seconds(10)))),
      idle_(value_or_throw(host_.connect("idle"))) {}

std::string Stage::audit(std::initializer_list<mews::PeerId> dead) {
  using mews::layout::PeerState;
  using mews::layout::SeatWord;
  auto problem = holders_in(mews::mem::audit(arena_));
  for (const auto peer : dead) {
    problem += chunks_of(arena_, peer);
    const auto seat = arena_.peer(peer).seat.load(std::memory_order_acquire);
    const auto state = SeatWord::unpack(seat).state;
    if (state != PeerState::dead && state != PeerState::vacant) {
      problem += "the dead peer's entry says " + std::to_string(seat) + "; ";
    }
  }
  // Largest first: then none is taken by a request that its own class could have served.
  std::vector<mews::Loan> loans;
  std::size_t whole = 0;
  for (const auto& row : crash_classes())
    whole += row.slab_count;
  for (const auto size : {kLarge, kHomed, kMiddle, kSmall}) {
    for (;;) {
      auto loan = channel().try_loan(size);
      if (!loan) break;
      loans.push_back(std::move(*loan));
    }
  }
  if (loans.size() != whole) {
    problem += "only " + std::to_string(loans.size()) + " of " + std::to_string(whole) +
               " slabs can be lent; ";
  }
  loans.clear();
  return problem + holders_in(mews::mem::audit(arena_));
}

std::vector<std::string> victim_command(std::string_view scenario, std::uint64_t kill_at,
                                        const WitnessPage& page) {
  return {MEWS_TEST_BIN_DIR "/crash_victim_plugin", std::string(scenario), std::to_string(kill_at),
          page.fd()};
}

}  // namespace mews_test
