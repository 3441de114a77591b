// SPDX-License-Identifier: MIT
#include "compare/cases.hpp"

#include <algorithm>

#include "support/cpu.hpp"

namespace mews::bench::compare {
namespace {

constexpr std::size_t operator""_KiB(unsigned long long count) {
  return count << 10;
}
constexpr std::size_t operator""_MiB(unsigned long long count) {
  return count << 20;
}

std::string size_text(std::size_t bytes) {
  if (bytes >= 1_MiB) return std::to_string(bytes >> 20) + "MiB";
  if (bytes >= 1_KiB) return std::to_string(bytes >> 10) + "KiB";
  return std::to_string(bytes) + "B";
}

Column latency(const char* title, const char* key, double share, double unit_ns) {
  return {title, key, [=](const Outcome& outcome) {
            return outcome.durations.percentile(share) * ns_per_tick() / unit_ns;
          }};
}

double cpu_us_a_message(const Outcome& outcome) {
  return outcome.cpu_seconds * 1e6 /
         static_cast<double>(std::max<std::uint64_t>(1, outcome.messages));
}
double resident_mib(const Outcome& outcome) {
  return static_cast<double>(outcome.resident_bytes) / (1 << 20);
}

const Column kRate{"thousand/s", "thousand_per_second",
                   [](const Outcome& outcome) { return outcome.rate / 1e3; }, true};
const Column kCpu{"CPU us each", "cpu_us_each", cpu_us_a_message};
const Column kResident{"memory MiB", "pss_mib", resident_mib};
const Column kSlowest{"slowest/fastest", "slowest_share",
                      [](const Outcome& outcome) { return outcome.slowest_share; }, true};

/// Those of all cases with two or more processes, as far as they are in this program.
std::vector<Peer> message_peers() {
  auto all = peers();
  std::ranges::sort(all, {}, &Peer::rank);
  return all;
}

void add_clients(std::vector<CaseSpec>& cases) {
  for (const unsigned clients : {1u, 4u, 17u, 64u}) {
    for (const Wait wait : {Wait::events, Wait::spin}) {
      CaseSpec spec;
      const bool is_events = wait == Wait::events;
      spec.name = "clients/" + std::to_string(clients) + (is_events ? "/epoll" : "/polls");
      spec.title = std::to_string(clients) +
                   " clients, each with one request of 64 B open; the host " +
                   (is_events ? "sleeps in its event loop" : "polls");
      spec.job.setup.clients = clients;
      spec.job.setup.host_wait = wait;
      spec.columns = {kRate,
                      latency("p50 us", "p50_us", 0.5, 1e3),
                      latency("p99.9 us", "p999_us", 0.999, 1e3),
                      kSlowest,
                      kCpu,
                      kResident};
      spec.peers = message_peers();
      cases.push_back(std::move(spec));
    }
  }
}

}  // namespace

std::vector<CaseSpec> all_cases(const CaseOptions& options) {
  std::vector<CaseSpec> cases;
  add_clients(cases);
  static_cast<void>(size_text(64));
  constexpr std::uint64_t kSmokeMessages = 20;
  if (options.is_smoke) {
    for (auto& spec : cases)
      spec.job.most_messages = kSmokeMessages;
  }
  return cases;
}

}  // namespace mews::bench::compare
