// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include "../support/catch.hpp"
#include "../support/slab_scene.hpp"
#include "mews/mem/census.hpp"
#include "mews/mem/reclaim.hpp"

namespace {

using mews::ClassId;
using mews::LaneId;
using mews::PeerId;
using mews::layout::Phase;
using mews::mem::Reclaimed;
using mews::mem::SlabPool;
using namespace mews_test;

/// Plugin 1, whose lanes are 0 (from it) and 1 (to it), is to die.
struct Scene : SlabScene {
  SlabPool& dying = one;
  std::vector<mews::mem::SlabHandle> published;

  static constexpr LaneId kFromIt{0};
  static constexpr LaneId kToIt{1};

  Reclaimed reclaim() const {
    return mews::mem::reclaim(
        arena, {.peer = PeerId{1}, .from_it = kFromIt, .to_it = kToIt, .published = published});
  }
};

}  // namespace

TEST_CASE("reclaim: what the dead peer held is free, in every class") {
  Scene scene;
  for (std::uint32_t c = 0; c < scene.arena.class_count(); ++c) {
    for (int i = 0; i < 3; ++i)
      REQUIRE(claim_one(scene.dying, ClassId{c}));
  }
  const auto done = scene.reclaim();
  CHECK((done.held == 12 && done.in_flight == 0 && done.chunks == 3));
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("reclaim: what others hold, and what is in flight between others, stays") {
  Scene scene;
  const auto of_host = try_claim(scene.host, 100).value();
  const auto of_other = try_claim(scene.two, 5 * kMiB).value();
  const auto between_others = sent(scene.two, 100, LaneId{2});
  const auto to_other = sent(scene.host, 100, LaneId{3});
  REQUIRE(try_claim(scene.dying, 100));
  CHECK(scene.reclaim().held == 1);
  CHECK(scene.word(of_host).pack() == of_host.word);
  CHECK(scene.word(of_other).pack() == of_other.word);
  CHECK(scene.word(of_other, 1).phase == Phase::held);
  CHECK(scene.word(between_others).pack() == between_others.word);
  CHECK(scene.word(to_other).pack() == to_other.word);
}

TEST_CASE("reclaim: what was on its way to the dead peer is free") {
  Scene scene;
  (void)sent(scene.host, 100, Scene::kToIt);
  (void)sent(scene.host, 9 * kMiB, Scene::kToIt);
  const auto done = scene.reclaim();
  CHECK((done.held == 0 && done.in_flight == 4));
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("reclaim: what the dead peer was about to send, but did not publish, is free") {
  Scene scene;
  (void)sent(scene.dying, 100, Scene::kFromIt);
  (void)sent(scene.dying, 9 * kMiB, Scene::kFromIt);
  const auto done = scene.reclaim();
  CHECK((done.held == 0 && done.in_flight == 4));
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("reclaim: what the dead peer had published is kept and can still be received") {
  Scene scene;
  const auto small = sent(scene.dying, 100, Scene::kFromIt);
  const auto run = sent(scene.dying, 9 * kMiB, Scene::kFromIt);
  const auto lost = sent(scene.dying, 100, Scene::kFromIt);
  scene.published = {claim_of(small, 100), claim_of(run, 9 * kMiB)};
  CHECK(scene.reclaim().in_flight == 1);
  CHECK(scene.word(lost).phase == Phase::free);
  for (const auto& claim : scene.published) {
    const auto got = try_accept(scene.host, claim, Scene::kFromIt, PeerId{1});
    REQUIRE(got);
    CHECK(scene.host.release(*got));
  }
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("reclaim: what the host had received from the dead peer stays the host's") {
  Scene scene;
  const auto slab = sent(scene.dying, 100, Scene::kFromIt);
  const auto got = try_accept(scene.host, claim_of(slab, 100), Scene::kFromIt, PeerId{1});
  REQUIRE(got);
  const auto done = scene.reclaim();
  CHECK((done.held == 0 && done.in_flight == 0));
  CHECK(scene.word(slab).holder == 0);
  CHECK(scene.host.release(*got));
}

TEST_CASE("reclaim: a run that was half way between two states is freed as a whole") {
  Scene scene;
  const auto run = try_claim(scene.dying, 20 * kMiB).value();
  for (std::uint32_t i = 0; i < 2; ++i) {
    scene.set(run, i, scene.word(run, i).in_flight_on(0));
  }
  const auto done = scene.reclaim();
  CHECK((done.held == 3 && done.in_flight == 2));
  CHECK(audit(scene.arena).is_all_free());
}

TEST_CASE("reclaim: a second scan finds nothing more") {
  Scene scene;
  REQUIRE(try_claim(scene.dying, 100));
  (void)sent(scene.dying, 100, Scene::kFromIt);
  CHECK(scene.reclaim().held == 1);
  const auto again = scene.reclaim();
  CHECK((again.held == 0 && again.in_flight == 0 && again.chunks == 0));
}

TEST_CASE("reclaim: published claims that make no sense do no harm") {
  Scene scene;
  const auto slab = sent(scene.dying, 100, Scene::kFromIt);
  scene.published = {{.size_class = 99, .index = 0, .generation = 1, .bytes = 1},
                     {.size_class = 0, .index = ~0U, .generation = 1, .bytes = 1},
                     {.size_class = 3, .index = 7, .generation = 1, .bytes = ~std::uint64_t{0}}};
  CHECK(scene.reclaim().in_flight == 1);
  CHECK(scene.word(slab).phase == Phase::free);
}

TEST_CASE("reclaim: what follows a record that nobody can receive is not delivered, and is free") {
  const mews::mem::SlabHandle bad[] = {
      {.size_class = 0, .index = 0, .generation = 1, .bytes = 1025},
      {.size_class = 2, .index = 0, .generation = 1, .bytes = ~std::uint64_t{0}},
      {.size_class = 3, .index = 7, .generation = 1, .bytes = 5 * kMiB},
      {.size_class = 3, .index = 8, .generation = 1, .bytes = 1},
      {.size_class = 4, .index = 0, .generation = 1, .bytes = 1},
  };
  for (const auto& claim : bad) {
    CHECK(SlabPool::slabs_named(make_arena().geometry(), claim) == 0);
    Scene scene;
    const auto before = sent(scene.dying, 100, Scene::kFromIt);
    const auto after = sent(scene.dying, 100, Scene::kFromIt);
    scene.published = {claim_of(before, 100), claim, claim_of(after, 100)};
    CHECK(scene.reclaim().in_flight == 1);
    CHECK(scene.word(before).phase == Phase::in_flight);
    CHECK(scene.word(after).phase == Phase::free);
  }
}

TEST_CASE("reclaim: a slab that is published twice is delivered once, and nothing behind it") {
  Scene scene;
  const auto slab = sent(scene.dying, 9 * kMiB, Scene::kFromIt);
  const auto after = sent(scene.dying, 100, Scene::kFromIt);
  auto again = claim_of(slab, 100);
  again.index += 2;
  scene.published = {claim_of(slab, 9 * kMiB), again, claim_of(after, 100)};
  CHECK(scene.reclaim().in_flight == 1);
  CHECK(scene.word(slab, 2).phase == Phase::in_flight);
  CHECK(scene.word(after).phase == Phase::free);
}

TEST_CASE("reclaim: the sender of what was taken back finds out, whatever it tries") {
  Scene scene;
  auto in_flight = sent(scene.host, 100, Scene::kToIt);
  auto run = sent(scene.host, 9 * kMiB, Scene::kToIt);
  CHECK(scene.reclaim().in_flight == 4);
  CHECK_FALSE(scene.host.revoke(in_flight, Scene::kToIt));
  CHECK_FALSE(scene.host.revoke(run, Scene::kToIt));
  CHECK(audit(scene.arena).is_all_free());
}
