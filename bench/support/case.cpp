// SPDX-License-Identifier: MIT
#include "support/case.hpp"

#include <utility>
#include <vector>

#include "support/cpu.hpp"

namespace mews::bench {
namespace {

class CrowdCase : public Case {
 public:
  CrowdCase(Body here, const std::vector<Body>& there) : here_(std::move(here)) {
    unsigned nth = 0;
    for (const auto& body : there) {
      others_.push_back(std::make_unique<Companion>(++nth, body));
    }
  }

  double run(const Batch& batch) override {
    for (auto& other : others_)
      other->begin(batch.operations);
    const auto begin = now_ns();
    here_(batch);
    for (auto& other : others_)
      other->finish();
    return now_ns() - begin;
  }

 private:
  Body here_;
  std::vector<std::unique_ptr<Companion>> others_;
};

class RestedCase : public Case {
 public:
  explicit RestedCase(CasePtr inner) : inner_(std::move(inner)) {}

  double run(const Batch& batch) override {
    constexpr std::chrono::duration<double, std::nano> kRestNs = kRest;
    return inner_->run(batch) - kRestNs.count() * static_cast<double>(batch.operations);
  }

 private:
  CasePtr inner_;
};

}  // namespace

CasePtr local_case(Body body) {
  return std::make_unique<CrowdCase>(std::move(body), std::vector<Body>());
}

CasePtr pair_case(Body here, Body there) {
  return std::make_unique<CrowdCase>(std::move(here), std::vector<Body>{std::move(there)});
}

CasePtr rested_pair_case(Body here, Body there) {
  return std::make_unique<RestedCase>(pair_case(std::move(here), std::move(there)));
}

CasePtr crowd_case(unsigned processes, const std::function<Body(unsigned)>& body) {
  std::vector<Body> others;
  for (unsigned nth = 1; nth < processes; ++nth)
    others.push_back(body(nth));
  return std::make_unique<CrowdCase>(body(0), others);
}

}  // namespace mews::bench
