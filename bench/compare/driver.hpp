// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "compare/client_side.hpp"
#include "compare/crew.hpp"
#include "compare/font.hpp"
#include "compare/job.hpp"
#include "compare/payload.hpp"
#include "compare/transport.hpp"
#include "compare/usage.hpp"
#include "support/cpu.hpp"
#include "support/shared_block.hpp"

/// The one driver of all peers: the host's side of each kind of work, and the frame of a run.
namespace mews::bench::compare {

/// Each request is answered, until all clients have taken their leave.
template <class Host>
void answer_all(Host& host, const Job& job) {
  const auto asked = std::min(job.touched_bytes, job.setup.request_bytes);
  const auto told = std::min(job.touched_bytes, job.setup.reply_bytes);
  std::vector<std::uint64_t> numbers(job.setup.clients);
  for (auto left = job.setup.clients; left > 0;) {
    const Arrival request = host.next();
    require(request.bytes.size() == job.setup.request_bytes, "a request of another size arrived");
    const auto number = number_of(request.bytes);
    if (number == kBye) {
      --left;
      host.release();
      continue;
    }
    check_payload(request.bytes, asked, ++numbers[request.client]);
    host.release();
    write_payload(host.claim(request.client), told, number);
    host.send(request.client);
  }
}

/// All requests of one client; the rate is that of the time after the first fifth.
template <class Host>
void take_all(Host& host, const Job& job, std::uint64_t begin_ticks, Outcome& outcome) {
  const auto touched = std::min(job.touched_bytes, job.setup.request_bytes);
  const auto stride = stride_of(job.setup.request_bytes);
  const auto warm = begin_ticks + ticks_of(job.seconds / 5);
  std::uint64_t number = 0;
  std::uint64_t first_number = 0;
  std::uint64_t first_ticks = begin_ticks;
  for (;;) {
    const Arrival request = host.next();
    if (number_of(request.bytes) == kBye) break;
    check_payload(request.bytes, touched, ++number);
    host.release();
    if (first_number != 0 || number % stride != 0) continue;
    const auto now = ticks();
    if (now < warm) continue;
    first_number = number;
    first_ticks = now;
  }
  const auto last_ticks = ticks();
  host.release();
  outcome.rate = static_cast<double>(number - first_number) / seconds_of(last_ticks - first_ticks);
}

/// Waits until the first client has had enough, and tells all.
template <class Host>
void idle(Host& host, const Job& job) {
  static_cast<void>(host.next());
  host.release();
  for (unsigned client = 0; client < job.setup.clients; ++client) {
    write_payload(host.claim(client), 8, kBye);
    host.send(client);
  }
}

template <class Host>
void decompress_all(Host& host, Board& board, Outcome& outcome) {
  for (;;) {
    const Arrival request = host.next();
    const bool is_last = number_of(request.bytes) == kBye;
    if (!is_last) {
      const auto before = ticks();
      decompress_font(request.bytes, host.claim(request.client));
      const auto inside = ticks() - before;
      outcome.inside.add(inside);
      board.inside_ticks.store(inside, std::memory_order_relaxed);  // the reply follows
    }
    host.release();
    if (is_last) return;
    host.send(request.client);
  }
}

/// Kills one client after the other, each with memory in its hands.
template <class Host>
void kill_all(Host& host, const Job& job, Crew& crew, Outcome& outcome) {
  std::vector<unsigned> client_of(job.setup.clients);
  for (unsigned i = 0; i < job.setup.clients; ++i) {
    const Arrival request = host.next();
    client_of.at(number_of(request.bytes) - 1) = request.client;
    host.release();
  }
  crew.wait_until_done();
  for (unsigned nth = 0; nth < job.setup.clients; ++nth) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    crew.expect_end_of(nth);
    const auto before = ticks();
    ::kill(crew.pids()[nth], SIGKILL);
    host.wait_until_gone(client_of[nth]);
    outcome.durations.add(ticks() - before);
  }
}

template <Transport T>
void work_as_host(typename T::Host& host, const Job& job, Crew& crew, Board& board,
                  Outcome& outcome) {
  switch (job.work) {
    case Work::exchange:
      return answer_all(host, job);
    case Work::stream:
    case Work::paced:
      return take_all(host, job, board.begin_ticks, outcome);
    case Work::idle:
      return idle(host, job);
    case Work::font:
      return decompress_all(host, board, outcome);
    case Work::killed:
      if constexpr (Recovering<T>) return kill_all(host, job, crew, outcome);
      fail("this peer does not notice deaths");
  }
}

/// Adds up what the clients have put on the board.
inline void add_clients(const Board& board, const Job& job, Outcome& outcome) {
  auto fewest = ~std::uint64_t{0};
  std::uint64_t most = 0;
  std::uint64_t counted = 0;
  for (unsigned nth = 0; nth < job.setup.clients; ++nth) {
    const auto& client = board.clients[nth];
    outcome.durations.add(client.durations);
    outcome.cpu_seconds += client.cpu_seconds;
    outcome.messages += client.messages;
    counted += client.counted_messages;
    fewest = std::min(fewest, client.counted_messages);
    most = std::max(most, client.counted_messages);
  }
  if (most != 0) outcome.slowest_share = static_cast<double>(fewest) / static_cast<double>(most);
  if (job.work == Work::exchange) {
    outcome.rate = static_cast<double>(counted) / (job.seconds - job.seconds / 5);
  }
}

/// Of all processes, each with its share of what it has in common with others.
inline double resident_bytes(const Crew& crew) {
  auto bytes = proportional_bytes(::getpid());
  for (const auto pid : crew.pids())
    bytes += proportional_bytes(pid);
  return static_cast<double>(bytes);
}

/// The same for as many processes that do nothing.
inline double bare_resident_bytes(const Job& job) {
  const auto board = make_shared_block<Board>();
  Crew crew(*board, job.setup.clients, [&](unsigned) {
    report_ready(*board);
    report_done(*board);
  });
  crew.begin();
  crew.wait_until_done();
  const auto bytes = resident_bytes(crew);
  crew.dismiss();
  return bytes;
}

/// A whole run, in a process of its own: this one becomes the host.
template <Transport T>
void run_job(const Job& job, Outcome& outcome) {
  std::optional<Sleepless> sleepless;
  if (job.keeps_awake) sleepless.emplace();
  const double bare_bytes = job.counts_memory ? bare_resident_bytes(job) : 0;
  const auto board = make_shared_block<Board>();
  T transport(job.setup);
  Crew crew(*board, job.setup.clients,
            [&](unsigned nth) { ClientSide<T>(transport, nth, job, *board).run(); });
  std::unique_ptr<typename T::Host> host;
  {
    const Unpinned here;  // a library that counts processors counts all
    host = std::make_unique<typename T::Host>(transport);
  }
  int daemon = 0;
  if constexpr (Attended<T>) daemon = transport.daemon();
  const auto daemon_before = daemon != 0 ? cpu_seconds_of(daemon) : 0;
  const auto cpu_before = cpu_seconds();
  crew.begin();
  work_as_host<T>(*host, job, crew, *board, outcome);
  outcome.cpu_seconds = cpu_seconds() - cpu_before;
  outcome.wall_seconds = seconds_of(ticks() - board->begin_ticks);
  if (job.work != Work::killed) {
    crew.wait_until_done();
    add_clients(*board, job, outcome);
    if (daemon != 0) outcome.cpu_seconds += cpu_seconds_of(daemon) - daemon_before;
    if (job.counts_memory) {
      outcome.added_bytes = resident_bytes(crew) - bare_bytes;
      if (daemon != 0) outcome.added_bytes += static_cast<double>(proportional_bytes(daemon));
    }
  }
  outcome.is_complete = true;
  crew.dismiss();
  if constexpr (Closing<typename T::Host>) host->close();
  static_cast<void>(host.release());
}

}  // namespace mews::bench::compare
