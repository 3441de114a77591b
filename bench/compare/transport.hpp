// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string>

#include "compare/setup.hpp"

namespace mews::bench::compare {

/// A peer, as the one driver of all cases sees it. An end claims memory for its next message,
/// writes into it and sends it: of a peer that copies, that memory is private. Any failure ends the
/// process
/// (`fail`), so that no case goes on with wrong messages.
///
///   T(setup)               before the processes part; what they share
///   T::refusal(setup)      why it cannot do this; empty: it can
///   T::Host(t)             in the host's process; returns when all clients have joined
///   T::Client(t, nth)      in the process of that client
///   host.next()            waits for a request, in the host's style
///   host.release()         its bytes are not needed any more
///   host.claim(client)     memory for a reply to that client, `reply_bytes` long
///   host.send(client)      sends it
///   client.claim()         memory for a request, `request_bytes` long
///   client.send()          sends it; waits for room
///   client.receive()       waits for a reply, in the client's style
///   client.release()       its bytes are not needed any more
template <class T>
concept Transport = requires(T& t, const Setup& setup, typename T::Host& host,
                             typename T::Client& client, unsigned nth) {
  requires std::constructible_from<T, const Setup&>;
  requires std::constructible_from<typename T::Host, T&>;
  requires std::constructible_from<typename T::Client, T&, unsigned>;
  { T::refusal(setup) } -> std::same_as<std::string>;
  { host.next() } -> std::same_as<Arrival>;
  { host.release() } -> std::same_as<void>;
  { host.claim(nth) } -> std::same_as<std::span<std::byte>>;
  { host.send(nth) } -> std::same_as<void>;
  { client.claim() } -> std::same_as<std::span<std::byte>>;
  { client.send() } -> std::same_as<void>;
  { client.receive() } -> std::same_as<std::span<const std::byte>>;
  { client.release() } -> std::same_as<void>;
};

/// A peer whose host notices a client's death: `host.wait_until_gone(nth)` returns when nothing of
/// that client is left behind.
template <class T>
concept Recovering = Transport<T> && requires(typename T::Host& host, unsigned nth) {
  { host.wait_until_gone(nth) } -> std::same_as<void>;
};

/// An end that leaves something behind unless it is told that it ends: others are not destroyed, as
/// some libraries take seconds to put everything away.
template <class End>
concept Closing = requires(End& end) {
  { end.close() } -> std::same_as<void>;
};

/// A peer with a process of its own, whose memory and time count too. `clean_up` comes when all
/// processes of a run have ended.
template <class T>
concept Attended = requires(T& t) {
  { t.daemon() } -> std::convertible_to<int>;
  { T::clean_up() } -> std::same_as<void>;
};

}  // namespace mews::bench::compare
