// SPDX-License-Identifier: MIT
#include <sys/prctl.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "crash/kill_point.hpp"
#include "crash/plugin_scenarios.hpp"

// <scenario> <kill at> <log descriptor> [<arena's name>]: a plugin that ends at a given step.
int main(int count, char** arguments) {
  using namespace mews_test;
  using plugin::CountFrom;
  if (count < 4) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that ends early leaves nobody behind
  const std::string name = arguments[1];
  const auto kill_at = std::strtoull(arguments[2], nullptr, 10);
  VictimLogPage page(arguments[3]);
  auto& log = *page;
  const plugin::Scenario* scenario = nullptr;
  for (const auto& each : plugin::kScenarios) {
    if (each.name == name) scenario = &each;
  }
  if (scenario == nullptr) return 2;

  mews::AttachOptions options;
  options.local.watcher = mews::Watcher::none;  // no second thread: the steps come in one order
  options.local.spin_limit = std::chrono::nanoseconds(0);
  if (count > 4) options.name = arguments[4];
  if (scenario->count_from == CountFrom::attach) kill_point::begin(log, kill_at);
  {
    auto session = mews::Session::attach(options);
    if (!session) {
      complain(log, "attach: " + session.error().message());
      return 1;
    }
    if (scenario->count_from == CountFrom::attach) kill_point::end();
    if (scenario->count_from == CountFrom::work) kill_point::begin(log, kill_at);
    Actor actor(session->channel(), log);
    scenario->run(actor);
    kill_point::end();
    if (scenario->count_from == CountFrom::detach) kill_point::begin(log, kill_at);
  }
  kill_point::end();
  return log.stuck.load() == 0 ? 0 : 1;
}
