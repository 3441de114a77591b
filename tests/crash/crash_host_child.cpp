// SPDX-License-Identifier: MIT
#include <cstdlib>
#include <string>

#include "crash/host_scenarios.hpp"

// <scenario> <kill at> <witness descriptor> <arena's name> <victim program>: a host that ends at a
// given step.
int main(int count, char** arguments) {
  using namespace mews_test;
  using plugin::CountFrom;
  if (count < 6) return 2;
  const std::string name = arguments[1];
  const auto kill_at = std::strtoull(arguments[2], nullptr, 10);
  WitnessPage page(std::atoi(arguments[3]));
  auto& witness = page.get();
  const host::Scenario* scenario = nullptr;
  for (const auto& each : host::kScenarios) {
    if (each.name == name) scenario = &each;
  }
  if (scenario == nullptr) return 2;

  mews::CreateOptions options;
  options.name = arguments[4];
  options.backing = mews::Backing::named;
  options.size_classes = crash_classes();
  options.ring_cells = kRingCells;
  options.max_plugins = 4;
  options.local.watcher = mews::Watcher::none;  // no second thread: the steps come in one order
  options.local.spin_limit = std::chrono::nanoseconds(0);
  if (scenario->count_from == CountFrom::attach) kill_point::begin(witness, kill_at);
  {
    auto session = mews::Session::create(options);
    if (!session) {
      complain(witness, "create: " + session.error().message());
      return 1;
    }
    witness.phase = host::kCreated;
    auto plugin = session->admit(std::chrono::seconds(10));
    if (!plugin) {
      complain(witness, "admit: " + plugin.error().message());
      return 1;
    }
    witness.phase = host::kAdmitted;
    if (scenario->count_from == CountFrom::attach) kill_point::end();
    if (scenario->count_from == CountFrom::work) kill_point::begin(witness, kill_at);
    Actor actor(plugin->channel(), witness);
    host::Stage stage{*session, actor, arguments[5]};
    scenario->run(stage);
    kill_point::end();
    if (scenario->count_from == CountFrom::detach) kill_point::begin(witness, kill_at);
  }
  kill_point::end();
  return witness.stuck.load() == 0 ? 0 : 1;
}
