// SPDX-License-Identifier: MIT
#include <cstdint>

#include "model/words.hpp"
#include "support/catch.hpp"
#include "support/lane_fixture.hpp"

// A producer that is always one filler ahead of its reader, whatever the machine does meanwhile: it
// writes when the reader is about to look.
namespace mews::model {
namespace {

class FillersWithoutEnd {
 public:
  explicit FillersWithoutEnd(mews_test::Lane& lane) {
    victim = &lane;
    base::step_hook = [](base::Step step, const volatile void*, std::size_t, std::memory_order) {
      if (step == base::Step::load) write_next();
    };
  }
  FillersWithoutEnd(const FillersWithoutEnd&) = delete;
  FillersWithoutEnd& operator=(const FillersWithoutEnd&) = delete;
  ~FillersWithoutEnd() { base::step_hook = nullptr; }

 private:
  static void write_next() {
    if (is_writing) return;
    is_writing = true;
    const auto position = victim->consumer.position();
    auto& cell = victim->cells[position % victim->cells.size()];
    cell.extent = layout::make_extent(1, 0);
    poke(&cell.mark, sizeof cell.mark,
         layout::make_mark(position, 1, layout::RecordKind::filler, layout::kNoClass));
    is_writing = false;
  }

  static inline mews_test::Lane* victim = nullptr;
  static inline bool is_writing = false;
};

}  // namespace

TEST_CASE("lane: fillers without end are corrupt, and keep no reader busy") {
  mews_test::Lane lane(32);
  layout::Descriptor record;
  {
    const FillersWithoutEnd producer(lane);
    CHECK(lane.consumer.look(record) == ring::Look::corrupt);
  }
  CHECK(lane.consumer.position() <= 2 * lane.cells.size() + 1);
}

}  // namespace mews::model
