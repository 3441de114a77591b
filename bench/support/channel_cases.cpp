// SPDX-License-Identifier: MIT
#include "support/channel_cases.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "support/session_pair.hpp"
#include "support/shared_block.hpp"

namespace mews::bench {
namespace {

using Nanoseconds = std::chrono::nanoseconds;

struct alignas(128) Consumed {
  std::atomic<std::uint64_t> messages;
};

/// How many payloads may be on their way: about 8 MiB, but at least four.
std::uint64_t window_for(std::size_t bytes) {
  return std::max<std::uint64_t>(4, (std::uint64_t{8} << 20) / bytes);
}

void send_loan(Channel& channel, std::size_t bytes, Touch touch, std::uint64_t seed) {
  auto loan = channel.loan(bytes);
  must_succeed(loan);
  write(touch, loan->bytes(), seed);
  must_succeed(channel.send(std::move(*loan)));
}

void receive_and_check(Channel& channel, std::size_t bytes, Touch touch, std::uint64_t seed) {
  const auto message = channel.receive();
  must_succeed(message);
  require(message->size() == bytes, "a message of another size arrived");
  check(touch, message->bytes(), seed);
}

/// Sends a payload of `bytes` for each operation.
Body sender(std::shared_ptr<SessionPair> pair, std::size_t bytes) {
  return [pair = std::move(pair), payload = std::vector<std::byte>(bytes),
          seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->host_channel();
    repeat(batch, [&] {
      write_all(payload, ++seed);
      must_succeed(channel.send(std::span<const std::byte>(payload)));
    });
  };
}

}  // namespace

CasePtr channel_round_trip(std::size_t bytes, Nanoseconds spin_limit) {
  auto pair = std::make_shared<SessionPair>(spin_limit);
  const bool are_asleep = spin_limit == kSleep;
  const auto put = [](Channel& channel, std::vector<std::byte>& payload, std::uint64_t seed) {
    write_all(payload, seed);
    must_succeed(channel.send(std::span<const std::byte>(payload)));
  };
  const auto here = [=, payload = std::vector<std::byte>(bytes),
                     seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->host_channel();
    const auto exchange = [&] {
      put(channel, payload, ++seed);
      receive_and_check(channel, bytes, Touch::all, seed);
    };
    are_asleep ? repeat_rested(batch, exchange) : repeat(batch, exchange);
  };
  const auto there = [=, payload = std::vector<std::byte>(bytes),
                      seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->plugin_channel();
    repeat(batch, [&] {
      receive_and_check(channel, bytes, Touch::all, ++seed);
      put(channel, payload, seed);
    });
  };
  return are_asleep ? rested_pair_case(here, there) : pair_case(here, there);
}

CasePtr channel_echo(std::size_t bytes, Touch touch) {
  auto pair = std::make_shared<SessionPair>(kSpin);
  const auto here = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->host_channel();
    repeat(batch, [&] {
      send_loan(channel, bytes, touch, ++seed);
      receive_and_check(channel, bytes, touch, seed);
    });
  };
  const auto there = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->plugin_channel();
    repeat(batch, [&] {
      receive_and_check(channel, bytes, touch, ++seed);
      send_loan(channel, bytes, touch, seed);
    });
  };
  return pair_case(here, there);
}

CasePtr channel_stream(std::size_t bytes, Touch touch) {
  auto pair = std::make_shared<SessionPair>(kSpin);
  auto consumed = make_shared_block<Consumed>();
  const auto window = window_for(bytes);
  const auto here = [=, seed = std::uint64_t{0},
                     seen = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->host_channel();
    repeat(batch, [&] {
      while (seed - seen >= window)
        seen = consumed->messages.load(std::memory_order_acquire);
      send_loan(channel, bytes, touch, ++seed);
    });
  };
  const auto there = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->plugin_channel();
    repeat(batch, [&] {
      receive_and_check(channel, bytes, touch, ++seed);
      consumed->messages.store(seed, std::memory_order_release);
    });
  };
  return pair_case(here, there);
}

CasePtr channel_batch_stream(std::size_t bytes) {
  auto pair = std::make_shared<SessionPair>(kSpin);
  const auto there = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->plugin_channel();
    for (auto left = batch.operations; left > 0;) {
      left -= must(channel.receive_batch(
          [&](const MessageView& message) { check_all(message.bytes, ++seed); }, left));
    }
  };
  return pair_case(sender(pair, bytes), there);
}

CasePtr channel_one_way(std::size_t bytes) {
  auto pair = std::make_shared<SessionPair>(kSpin);
  const auto there = [=, seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& channel = pair->plugin_channel();
    repeat(batch, [&] { receive_and_check(channel, bytes, Touch::all, ++seed); });
  };
  return pair_case(sender(pair, bytes), there);
}

CasePtr channel_alone(std::size_t bytes) {
  struct Ends {
    Session host = must(Session::create({}));
    std::pair<Plugin, Session> partner = must(host.connect("partner"));
  };
  // Made where it is used: in this process, after others have been forked off.
  auto ends = std::make_shared<std::unique_ptr<Ends>>();
  return local_case([=, payload = std::vector<std::byte>(bytes),
                     seed = std::uint64_t{0}](const Batch& batch) mutable {
    if (!*ends) *ends = std::make_unique<Ends>();
    auto& [plugin, session] = (*ends)->partner;
    auto& here = plugin.channel();
    auto& there = session.channel();
    repeat(batch, [&] {
      write_all(payload, ++seed);
      must_succeed(here.send(std::span<const std::byte>(payload)));
      receive_and_check(there, bytes, Touch::all, seed);
    });
  });
}

CasePtr channel_loan_alone(std::size_t bytes) {
  auto pair = std::make_shared<SessionPair>(kSpin);
  const auto here = [=](const Batch& batch) {
    auto& channel = pair->host_channel();
    repeat(batch, [&] {
      auto loan = channel.try_loan(bytes);
      must_succeed(loan);
      *reinterpret_cast<volatile std::uint64_t*>(loan->bytes().data()) = bytes;
    });
  };
  // The plugin only has to be there.
  return pair_case(here, [pair](const Batch&) { static_cast<void>(pair->plugin_channel()); });
}

}  // namespace mews::bench
