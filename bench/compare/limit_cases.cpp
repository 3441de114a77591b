// SPDX-License-Identifier: MIT
#include <sys/eventfd.h>
#include <unistd.h>

#include "compare/case_peer.hpp"
#include "compare/columns.hpp"
#include "support/fail.hpp"
#include "support/yardsticks.hpp"

namespace mews::bench::compare {
namespace {

/// There and back by eventfd, both sides asleep while they wait.
CasePtr eventfd_round_trip() {
  const int there = ::eventfd(0, EFD_CLOEXEC);
  const int back = ::eventfd(0, EFD_CLOEXEC);
  require(there >= 0 && back >= 0, "eventfd");
  const auto tell = [](int fd) {
    const std::uint64_t one = 1;
    require(::write(fd, &one, sizeof one) == sizeof one, "write to an eventfd");
  };
  const auto wait = [](int fd) {
    std::uint64_t count = 0;
    require(::read(fd, &count, sizeof count) == sizeof count, "read from an eventfd");
  };
  const auto here = [=](const Batch& batch) {
    repeat_rested(batch, [&] {
      tell(there);
      wait(back);
    });
  };
  const auto answer = [=](const Batch& batch) {
    repeat(batch, [&] {
      wait(there);
      tell(back);
    });
  };
  return rested_pair_case(here, answer);
}

CaseSpec limit_case(std::string name, std::string title, std::vector<Peer> rows) {
  CaseSpec spec;
  spec.name = std::move(name);
  spec.title = std::move(title);
  spec.columns = {each_column()};
  spec.peers = std::move(rows);
  return spec;
}

}  // namespace

void add_limit_cases(std::vector<CaseSpec>& cases) {
  cases.push_back(limit_case("limits/round-trip", "There and back, without any message",
                             {case_peer("cache line, spinning", ping_pong, true),
                              case_peer("two rings of 1024 lines, spinning", ring_ping_pong, true),
                              case_peer("futex, asleep", futex_round_trip, true),
                              case_peer("eventfd, asleep", eventfd_round_trip, true)}));
  std::vector<Peer> copies;
  for (const std::size_t bytes :
       {std::size_t{64}, std::size_t{1} << 10, std::size_t{16} << 10, std::size_t{256} << 10,
        std::size_t{1} << 20, std::size_t{10} << 20, std::size_t{16} << 20}) {
    copies.push_back(case_peer(
        "memcpy of " + size_text(bytes), [=] { return memory_copy(bytes); }, true));
  }
  cases.push_back(limit_case("limits/memcpy", "One copy by one process", std::move(copies)));
}

}  // namespace mews::bench::compare
