// SPDX-License-Identifier: MIT
#include "compare/series.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "support/child_watch.hpp"
#include "support/fail.hpp"
#include "support/recorder.hpp"
#include "support/shared_block.hpp"

namespace mews::bench::compare {
namespace {

constexpr double kLongestOverSeconds = 30;

/// What a killed run may have left behind: the peers put its process's id in the names.
void remove_remains(pid_t pid) {
  const auto prefix = "mews-compare-" + std::to_string(pid);
  std::error_code ignored;
  for (const char* folder : {"/dev/shm", "/tmp"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
      if (entry.path().filename().string().starts_with(prefix))
        std::filesystem::remove(entry.path(), ignored);
    }
  }
}

/// Returns when that process has ended, which it is made to do after so long.
void wait_for_end(const Peer& peer, pid_t pid, double longest_seconds) {
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  require(pidfd >= 0, "pidfd_open");
  pollfd end{.fd = pidfd, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&end, 1, static_cast<int>(longest_seconds * 1e3));
  } while (ready < 0 && errno == EINTR);
  ::close(pidfd);
  if (ready != 0) return;
  std::fprintf(stderr, "bench: %s did not end in time\n", peer.name.c_str());
  ::kill(pid, SIGKILL);
}

/// The process between this one and a run: it stays until all that the run has started, daemons
/// too, have ended.
[[noreturn]] void guard(const Peer& peer, const Job& job, Outcome& outcome) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const auto host = fork_child();
  if (host == 0) {
    peer.run(job, outcome);
    std::_Exit(0);
  }
  wait_for_end(peer, host, job.seconds + kLongestOverSeconds);
  int status = 0;
  ::waitpid(host, &status, 0);
  constexpr unsigned kLongestSeconds = 20;
  ::alarm(kLongestSeconds);  // ends this one, and leaves the rest to the system
  while (::waitpid(-1, nullptr, 0) > 0) {
  }
  remove_remains(host);
  if (peer.clean_up) peer.clean_up();
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/// Returns whether the run was completed.
bool run_apart(const Peer& peer, const Job& job, Outcome& outcome) {
  const auto pid = fork_child();
  if (pid == 0) guard(peer, job, outcome);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    require(errno == EINTR, "waitpid");
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 && outcome.is_complete;
}

void run_once(const CaseSpec& spec, const Peer& peer, const Job& job, Row& row) {
  const auto outcome = make_shared_block<Outcome>();
  const auto before = prober().read();
  if (!run_apart(peer, job, *outcome)) {
    row.has_failed = true;
    return;
  }
  const auto after = prober().read();
  Run run;
  run.placement = agreed(before, after);
  run.ping_pong_ns = (before.ping_pong_ns + after.ping_pong_ns) / 2;
  for (const auto& column : spec.columns)
    run.figures.push_back(column.value(*outcome));
  row.runs.push_back(std::move(run));
}

}  // namespace

Placement Series::most_frequent() const {
  std::array<std::size_t, kPlacements> counts{};
  for (const auto& row : rows) {
    for (const auto& run : row.runs) {
      if (run.placement) ++counts[static_cast<std::size_t>(*run.placement)];
    }
  }
  const auto most = std::ranges::max_element(counts);
  // Two cores of one L3 are the placement to plan with, if it is known of none.
  if (*most == 0) return Placement::same_l3;
  return static_cast<Placement>(most - counts.begin());
}

Medians medians_of(const Row& row, std::optional<Placement> placement) {
  Medians medians;
  std::vector<std::vector<double>> columns;
  for (const auto& run : row.runs) {
    if (placement && run.placement != placement) continue;
    ++medians.runs;
    columns.resize(run.figures.size());
    for (std::size_t i = 0; i < columns.size(); ++i)
      columns[i].push_back(run.figures[i]);
  }
  for (auto& column : columns)
    medians.figures.push_back(percentile(column, 0.5));
  return medians;
}

Series run_series(const CaseSpec& spec, double seconds, unsigned turns) {
  Series series;
  series.spec = &spec;
  for (const auto& peer : spec.peers) {
    series.rows.push_back({.peer = peer.name,
                           .is_limit = peer.is_limit,
                           .refusal = peer.refusal(spec.job),
                           .has_failed = false,
                           .runs = {}});
  }
  auto job = spec.job;
  job.seconds = std::max(seconds / turns, job.least_seconds);
  for (unsigned turn = 0; turn < turns; ++turn) {
    for (std::size_t i = 0; i < spec.peers.size(); ++i) {
      auto& row = series.rows[i];
      if (row.refusal.empty() && !row.has_failed) run_once(spec, spec.peers[i], job, row);
    }
  }
  return series;
}

}  // namespace mews::bench::compare
