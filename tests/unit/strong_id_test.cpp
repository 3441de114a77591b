// SPDX-License-Identifier: MIT
#include <concepts>
#include <type_traits>
#include <unordered_set>

#include "../support/catch.hpp"
#include "mews/ids.hpp"

namespace {

using mews::ChannelId;
using mews::ClassId;
using mews::LaneId;
using mews::PeerId;
using mews::SlabIndex;

template <class A, class B>
concept Mixes = std::convertible_to<A, B> || std::constructible_from<B, A> ||
    std::assignable_from<B&, A> || requires(A a, B b) {
  a == b;
} || requires(A a, B b) {
  a < b;
};

struct Route {
  void operator()(PeerId, ChannelId) const {}
};

static_assert(std::invocable<Route, PeerId, ChannelId>);
static_assert(!std::invocable<Route, ChannelId, PeerId>, "swapped ids must not compile");
static_assert(!Mixes<PeerId, ChannelId> && !Mixes<ChannelId, PeerId>);
static_assert(!Mixes<PeerId, LaneId> && !Mixes<LaneId, ChannelId> && !Mixes<ClassId, SlabIndex>);
static_assert(!std::convertible_to<std::uint32_t, PeerId>, "a bare number is no id");
static_assert(!std::convertible_to<PeerId, std::uint32_t>, "an id is no bare number");
static_assert(std::is_trivially_copyable_v<PeerId> && sizeof(PeerId) == sizeof(std::uint32_t));

}  // namespace

TEST_CASE("strong id: ids of one kind compare by their value") {
  CHECK(PeerId{3} == PeerId{3});
  CHECK(PeerId{3} != PeerId{4});
  CHECK(PeerId{3} < PeerId{4});
  CHECK(PeerId{7}.value() == 7);
  CHECK(PeerId{} == mews::kHostPeer);
}

TEST_CASE("strong id: ids can be kept in a hash table") {
  std::unordered_set<SlabIndex> seen{SlabIndex{1}, SlabIndex{2}, SlabIndex{1}};
  CHECK(seen.size() == 2);
  CHECK(seen.contains(SlabIndex{2}));
  CHECK_FALSE(seen.contains(SlabIndex{3}));
}
