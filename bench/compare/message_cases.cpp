// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <utility>

#include "compare/columns.hpp"
#include "support/cpu.hpp"

namespace mews::bench::compare {
namespace {

constexpr std::size_t kKiB = 1 << 10;
constexpr std::size_t kMiB = 1 << 20;
constexpr std::array kSizes{std::size_t{64}, kKiB,     16 * kKiB, 256 * kKiB, kMiB,
                            10 * kMiB,       16 * kMiB};

struct Style {
  Wait wait;
  const char* name;
  const char* words;
};
constexpr std::array kStyles{Style{Wait::spin, "spin", "both ends look without pause"},
                             Style{Wait::usual, "default", "both ends wait as the library does"},
                             Style{Wait::sleep, "asleep", "both ends sleep while they wait"}};

std::vector<Peer> message_peers() {
  auto all = peers();
  std::ranges::sort(all, {}, &Peer::rank);
  return all;
}

CaseSpec message_case(std::string name, std::string title, Work work, const Setup& setup) {
  CaseSpec spec;
  spec.name = std::move(name);
  spec.title = std::move(title);
  spec.job.work = work;
  spec.job.setup = setup;
  spec.peers = message_peers();
  return spec;
}

std::vector<Column> latency_columns() {
  return {latency("p50 us", "p50_us", 0.5, 1e3), latency("p99 us", "p99_us", 0.99, 1e3),
          latency("p99.9 us", "p999_us", 0.999, 1e3), rate_column()};
}

std::vector<Column> stream_columns(std::size_t bytes) {
  const auto gigabytes = [bytes](const Outcome& outcome) {
    return outcome.rate * static_cast<double>(bytes) * 1e-9;
  };
  return {rate_column(), Column{"GB/s", "gb_per_second", gigabytes, true}};
}

void add_clients(std::vector<CaseSpec>& cases) {
  const Column slowest{"slowest/fastest", "slowest_share",
                       [](const Outcome& outcome) { return outcome.slowest_share; }, true};
  for (const unsigned clients : {1u, 4u, 17u, 64u}) {
    for (const Wait wait : {Wait::events, Wait::spin}) {
      const bool is_events = wait == Wait::events;
      const auto count = std::to_string(clients);
      auto spec = message_case("clients/" + count + (is_events ? "/epoll" : "/polls"),
                               count + (clients == 1 ? " client" : " clients, each") +
                                   " with one request of 64 B open; the host " +
                                   (is_events ? "sleeps in its event loop" : "polls"),
                               Work::exchange, {.clients = clients, .host_wait = wait});
      spec.job.counts_memory = true;
      spec.columns = {rate_column(),
                      latency("p50 us", "p50_us", 0.5, 1e3),
                      latency("p99.9 us", "p999_us", 0.999, 1e3),
                      slowest,
                      cpu_column(),
                      resident_column()};
      cases.push_back(std::move(spec));
    }
  }
}

/// Echo and stream of one size.
void add_size(std::vector<CaseSpec>& cases, std::size_t bytes, const Style& style, bool is_all) {
  const auto size = size_text(bytes);
  const auto suffix = "/" + size + "/" + style.name + (is_all ? "/all" : "/header");
  const auto words =
      std::string(is_all ? ", every byte" : ", header only") + " written and read; " + style.words;
  const Setup setup{.request_bytes = bytes,
                    .reply_bytes = bytes,
                    .host_wait = style.wait,
                    .client_wait = style.wait};
  const auto touched = is_all ? bytes : 8;
  auto echo =
      message_case("echo" + suffix, size + " there and back" + words, Work::exchange, setup);
  echo.job.touched_bytes = touched;
  echo.job.is_rested = style.wait == Wait::sleep;
  echo.columns = latency_columns();
  cases.push_back(std::move(echo));

  auto stream = message_case("stream" + suffix, size + " one way" + words, Work::stream, setup);
  stream.job.touched_bytes = touched;
  stream.columns = stream_columns(bytes);
  cases.push_back(std::move(stream));
}

void add_sizes(std::vector<CaseSpec>& cases) {
  for (const auto& style : kStyles) {
    for (const auto bytes : kSizes) {
      add_size(cases, bytes, style, true);
      if (bytes > 64) add_size(cases, bytes, style, false);
    }
  }
  auto awake = message_case("echo/64B/asleep/no-halt",
                            "64B there and back; both ends sleep while they wait, the processors "
                            "are kept from halting",
                            Work::exchange, {.host_wait = Wait::sleep, .client_wait = Wait::sleep});
  awake.job.is_rested = true;
  awake.job.keeps_awake = true;
  awake.columns = latency_columns();
  cases.push_back(std::move(awake));
  for (const auto& style : kStyles) {
    if (style.wait == Wait::sleep) continue;
    auto written = message_case(
        std::string("stream/1MiB/") + style.name + "/64-written",
        std::string("1MiB one way, 64 bytes written and read; ") + style.words, Work::stream,
        {.request_bytes = kMiB, .host_wait = style.wait, .client_wait = style.wait});
    written.columns = {rate_column()};
    cases.push_back(std::move(written));
  }
}

void add_paced(std::vector<CaseSpec>& cases) {
  for (const auto& style : kStyles) {
    if (style.wait == Wait::spin) continue;
    auto spec = message_case(
        std::string("paced/") + style.name,
        std::string("64B one way, 10,000 a second; the host ") +
            (style.wait == Wait::sleep ? "sleeps in between" : "waits as the library does"),
        Work::paced, {.host_wait = style.wait, .client_wait = style.wait});
    spec.job.pause_seconds = 1e-4;
    spec.columns = {cpu_column(), rate_column()};
    cases.push_back(std::move(spec));
  }
}

void add_font(std::vector<CaseSpec>& cases, const CaseOptions& options) {
  if (options.font == nullptr) return;
  for (const auto& style : kStyles) {
    auto spec =
        message_case(std::string("font/") + style.name,
                     "a font (" + std::to_string(options.font->size()) +
                         " bytes) goes to the host, which decompresses it into the reply (" +
                         std::to_string(options.font_bytes) + " bytes); " + style.words,
                     Work::font,
                     {.request_bytes = options.font->size(),
                      .reply_bytes = options.font_bytes,
                      .host_wait = style.wait,
                      .client_wait = style.wait});
    spec.job.font = options.font;
    const auto inside = [](const Outcome& outcome) {
      return outcome.inside.percentile(0.5) * ns_per_tick() / 1e6;
    };
    spec.columns = {latency("messages p50 ms", "messages_p50_ms", 0.5, 1e6),
                    latency("messages max ms", "messages_max_ms", 1, 1e6),
                    Column{"decoder ms", "decoder_ms", inside}};
    cases.push_back(std::move(spec));
  }
}

void add_idle_and_killed(std::vector<CaseSpec>& cases) {
  auto idle = message_case("idle/17", "17 clients and their host, all of whom wait", Work::idle,
                           {.clients = 17, .host_wait = Wait::events});
  const auto share = [](const Outcome& outcome) {
    return outcome.cpu_seconds * 1e3 / outcome.wall_seconds;
  };
  idle.job.counts_memory = true;
  idle.job.least_seconds = 1;
  idle.columns = {Column{"CPU ms a second", "cpu_ms_per_second", share}, resident_column()};
  cases.push_back(std::move(idle));

  auto killed = message_case(
      "killed/17",
      "from the kill of one of 17 clients, with 64KiB in its hands, until the "
      "host knows that nothing of it is left behind",
      Work::killed, {.clients = 17, .request_bytes = 64 * kKiB, .host_wait = Wait::events});
  killed.columns = {latency("p50 ms", "p50_ms", 0.5, 1e6), latency("max ms", "max_ms", 1, 1e6)};
  cases.push_back(std::move(killed));
}

}  // namespace

void add_message_cases(std::vector<CaseSpec>& cases, const CaseOptions& options) {
  add_clients(cases);
  add_sizes(cases);
  add_paced(cases);
  add_font(cases, options);
  add_idle_and_killed(cases);
}

}  // namespace mews::bench::compare
