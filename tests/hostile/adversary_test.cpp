// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "adversary_site.hpp"

using namespace hostile_test;

namespace {

/// How long a region's rounds may begin: seconds in all, an hour with MEWS_LONG=1.
std::chrono::milliseconds budget() {
  const char* is_long = std::getenv("MEWS_LONG");
  const bool has_an_hour = is_long != nullptr && *is_long != '\0';
  constexpr std::chrono::milliseconds kHour = 1h;
  return has_an_hour ? kHour / static_cast<int>(kRegions.size()) : 1500ms;
}

/// Or so many rounds, for the table in docs/crashes.md to be measured.
std::uint64_t rounds_wanted() {
  const char* rounds = std::getenv("MEWS_ADVERSARY_ROUNDS");
  return rounds == nullptr ? 0 : std::strtoull(rounds, nullptr, 0);
}

/// What the rounds of a region came to.
struct Tally {
  std::uint64_t rounds = 0;
  std::array<std::uint64_t, 4> neighbours{};  ///< by the harm done
  std::uint64_t not_whole = 0;
  std::string first;       ///< error that a neighbour's work met
  std::string first_loss;  ///< thing that was not whole

  void add(const RoundResult& round) {
    ++rounds;
    for (const auto& work : round.meanwhile) {
      ++neighbours.at(static_cast<std::size_t>(work.harm()));
      if (work.harm() != Harm::none && first.empty()) first = work.first_error;
    }
    if (round.afterwards.empty()) return;
    ++not_whole;
    if (first_loss.empty()) first_loss = round.afterwards;
  }
  void print(const Region& region) const {
    std::printf(
        "adversary: %s: %llu rounds; of the neighbours %llu unharmed, %llu slow, %llu cut off, "
        "%llu got wrong bytes; %llu arenas not whole; first: %s; %s\n",
        region.name, static_cast<unsigned long long>(rounds),
        static_cast<unsigned long long>(neighbours[0]),
        static_cast<unsigned long long>(neighbours[1]),
        static_cast<unsigned long long>(neighbours[2]),
        static_cast<unsigned long long>(neighbours[3]), static_cast<unsigned long long>(not_whole),
        first.c_str(), first_loss.c_str());
    std::fflush(stdout);
  }
};

/// Rounds of a host, three honest plugins and one that scribbles over a region.
void scribble_over(const std::string& name) {
  const auto& region = *std::find_if(kRegions.begin(), kRegions.end(),
                                     [&](const auto& r) { return r.name == name; });
  const auto first_seed = mews_test::make_seed("adversary");
  const mews::Deadline end(budget());
  const auto wanted = rounds_wanted();
  Tally tally;
  for (auto seed = first_seed; wanted != 0 ? tally.rounds < wanted : !end.has_passed(); ++seed) {
    INFO(name << ", MEWS_TEST_SEED=" << seed);
    AdversarySite site(region, seed);
    const auto round = site.run(300ms);
    tally.add(round);
    CHECK(round.late == "");
    CHECK(round.elsewhere == "");
    for (const auto& work : round.meanwhile) {
      INFO(work.first_error);
      CHECK(work.harm() <= region.worst);
    }
    if (region.after == After::whole) CHECK(round.afterwards == "");
  }
  tally.print(region);
}

}  // namespace

// In each: the host neither crashes nor returns late, whatever it is told.

TEST_CASE("adversary: one that scribbles over its own lanes harms no neighbour") {
  scribble_over("own-lanes");
}

TEST_CASE("adversary: one that misuses its wake descriptors harms no neighbour") {
  scribble_over("descriptors");
}

TEST_CASE("adversary: one that wakes and requeues everybody's sleepers slows neighbours at most") {
  scribble_over("futexes");
}

TEST_CASE("adversary: one that scribbles over hints and cursors slows neighbours at most") {
  scribble_over("hints");
}

TEST_CASE("adversary: one that scribbles over peer entries slows neighbours at most") {
  scribble_over("entries");
}

TEST_CASE("adversary: the host outlives scribbling over all lanes") {
  scribble_over("all-lanes");
}

TEST_CASE("adversary: the host outlives scribbling over truth words") {
  scribble_over("truth-words");
}

TEST_CASE("adversary: the host outlives scribbling over any control word") {
  scribble_over("control");
}

TEST_CASE("adversary: the host outlives control words that are put back as they once were") {
  scribble_over("old-words");
}

TEST_CASE("adversary: one that scribbles over payloads spoils bytes and nothing else") {
  scribble_over("payloads");
}
