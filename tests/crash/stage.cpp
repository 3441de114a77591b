// SPDX-License-Identifier: MIT
#include "crash/stage.hpp"

#include <unistd.h>

#include <optional>

#include "core/names.hpp"
#include "crash/lane_audit.hpp"
#include "crash/lending.hpp"
#include "crash/table.hpp"
#include "crash/word_audit.hpp"
#include "support/arena_fixture.hpp"

namespace mews_test {
namespace {

mews::CreateOptions options_for(const std::string& name, mews::Watcher watcher,
                                std::uint32_t ring_cells) {
  mews::CreateOptions options;
  options.name = name;
  options.backing = mews::Backing::named;  // so that the test can map it once more
  options.size_classes = crash_classes();
  options.reply_slabs = 0;
  options.ring_cells = ring_cells;
  options.max_plugins = 6;
  options.local.watcher = watcher;
  options.local.spin_limit = std::chrono::nanoseconds(0);
  return options;
}

}  // namespace

std::string Stage::next_name() {
  static int count = 0;
  return "crash-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

std::string Stage::address() const {
  return mews::detail::socket_of_name(name_);
}

Stage::Stage(mews::Watcher watcher, std::uint32_t ring_cells)
    : name_(next_name()),
      host_(value_or_throw(mews::Session::create(options_for(name_, watcher, ring_cells)))),
      arena_(value_or_throw(mews::mem::Arena::attach(
          value_or_throw(mews::os::MemoryFile::open_named("mews-" + name_)),
          std::chrono::seconds(10)))),
      idle_(value_or_throw(host_.connect("idle"))) {}

std::string Stage::audit(std::initializer_list<mews::PeerId> dead,
                         std::span<const mews::mem::Holding> holders) {
  auto problem = faults_of_words(arena_, holders);
  for (const auto peer : dead)
    problem += faults_of_the_dead(arena_, peer);
  auto free = whole_slab_count();
  for (const auto& holder : holders)
    free -= holder.held + holder.in_flight;
  {
    auto loans = lend_everything(channel());
    if (loans.size() != free) {
      problem +=
          std::to_string(loans.size()) + " slabs can be lent, not " + std::to_string(free) + "; ";
    }
    overwrite(loans);
  }
  return problem + faults_of_words(arena_, holders);
}

std::string Stage::audit_seat(mews::PeerId vacated) {
  const auto seat = arena_.peer(vacated).seat.load(std::memory_order_acquire);
  const auto epoch = mews::layout::SeatWord::unpack(seat).epoch;
  // One within this process, so that it does nothing on its own.
  std::optional<mews::Plugin> plugin;
  std::string problem;
  {
    auto next = host_.connect("next");
    if (!next) return "connect: " + next.error().message() + "; ";
    plugin.emplace(std::move(next->first));
    if (plugin->peer() != vacated) {
      problem += "the seat given out next is " + std::to_string(plugin->peer().value()) + "; ";
    } else {
      problem += faults_of_fresh_seat(arena_, vacated, epoch);
    }
  }
  if (!plugin->wait_exit(kStuck)) problem += "who leaves is never gone; ";
  return problem;
}

std::vector<std::string> victim_command(std::string_view scenario, std::uint64_t kill_at,
                                        const VictimLogPage& page) {
  return {MEWS_TEST_BIN_DIR "/crash_victim_plugin", std::string(scenario), std::to_string(kill_at),
          page.path()};
}

}  // namespace mews_test
