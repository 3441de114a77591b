// SPDX-License-Identifier: MIT
#include <sys/prctl.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>

#include "crash/chunk_state.hpp"
#include "crash/host_scenarios.hpp"
#include "crash/kill_point.hpp"
#include "crash/lane_audit.hpp"
#include "crash/second_view.hpp"

// <scenario> <kill at> <log page> <arena's name> <victim program> <named|anonymous>
// <alone|beside>: a host that ends at a given step.
namespace {

using namespace mews_test;
using plugin::CountFrom;

/// The host's thread that serves a second plugin meanwhile: its steps are not counted.
class Service {
 public:
  explicit Service(mews::Plugin plugin) : plugin_(std::move(plugin)) {
    thread_ = std::thread([this] { serve(); });
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  ~Service() { stop(); }
  /// The plugin goes on to send, so the thread wakes.
  void stop() {
    is_stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  void serve() {
    while (auto message = plugin_.channel().receive(mews::forever)) {
      if (is_stopping_) return;
      const auto envelope = message->envelope();
      if (!plugin_.channel().send(std::move(*message).into_loan(), envelope)) return;
    }
  }
  mews::Plugin plugin_;
  std::atomic<bool> is_stopping_{false};
  std::thread thread_;
};

int failed(VictimLog& log, const std::string& why) {
  complain(log, why);
  return 1;
}

template <class IsSo>
void wait_until(IsSo&& is_so) {
  while (!is_so())
    ::usleep(20);
}

bool sleeps_for_a_message(const mews::mem::Arena& arena, mews::PeerId plugin) {
  return is_armed(arena.lane(lane_to(plugin)).data_bell);
}

mews::CreateOptions options_for(const std::string& name, mews::Backing backing) {
  mews::CreateOptions options;
  options.name = name;
  options.backing = backing;
  options.size_classes = crash_classes();
  options.reply_slabs = 0;
  options.ring_cells = kRingCells;
  options.max_plugins = 4;
  options.local.watcher = mews::Watcher::none;  // so that the counted steps come in one order
  options.local.spin_limit = std::chrono::nanoseconds(0);
  return options;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 8) return 2;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that ends early leaves nobody behind
  const auto* scenario = host::find(arguments[1]);
  if (scenario == nullptr) return 2;
  const auto kill_at = std::strtoull(arguments[2], nullptr, 10);
  VictimLogPage page(arguments[3]);
  auto& log = *page;
  const std::string name = arguments[4];
  const bool is_named = arguments[6] == std::string("named");
  const bool has_bystander = arguments[7] == std::string("beside");

  if (scenario->count_from == CountFrom::attach) kill_point::begin(log, kill_at);
  const auto backing = is_named ? mews::Backing::named : mews::Backing::anonymous;
  auto session = mews::Session::create(options_for(name, backing));
  if (!session) return failed(log, "create: " + session.error().message());
  if (!is_named) {
    if (const auto listens = session->listen("@" + name); !listens) {
      return failed(log, "listen: " + listens.error().message());
    }
  }
  log.phase = host::kListens;
  auto survivor = session->admit(std::chrono::seconds(10));
  if (!survivor) return failed(log, "admit: " + survivor.error().message());
  std::optional<Service> service;
  if (has_bystander) {
    auto plugin = session->admit(std::chrono::seconds(10));
    if (!plugin) return failed(log, "admit: " + plugin.error().message());
    service.emplace(std::move(*plugin));
  }
  log.phase = host::kHasAdmitted;
  kill_point::end();

  const auto view = second_view(name);
  if (!view) return failed(log, "there is no view of the arena");
  wait_until([&] { return log.ready.load() != 0; });
  prepare_chunks(scenario->name, survivor->channel(), *view,
                 has_bystander ? Company::beside_another : Company::alone);
  Actor actor(survivor->channel(), log);
  host::Stage stage{*session, actor, arguments[5]};
  if (scenario->count_from == CountFrom::work) kill_point::begin(log, kill_at);
  scenario->run(stage);
  kill_point::end();
  if (service) service->stop();
  if (scenario->count_from == CountFrom::detach) {
    const auto peer = survivor->peer();
    wait_until([&] {
      return sleeps_for_a_message(*view, peer) && is_armed(view->lane(lane_from(peer)).space_bell);
    });
    kill_point::begin(log, kill_at);
  }
  { const auto ended = std::move(*session); }
  kill_point::end();
  return log.stuck.load() == 0 ? 0 : 1;
}
