// SPDX-License-Identifier: MIT
#include "crash/held_slabs.hpp"
#include "crash/worker.hpp"
#include "mews/mews.hpp"

// Takes some slabs for itself. Sends back whatever comes, in the memory that it came in, until its
// host has nothing more.
int main() {
  using namespace mews_test;
  auto session = mews::Session::attach();
  if (!session) return 1;
  auto& channel = session->channel();
  const HeldSlabs held_slabs(channel);
  for (;;) {
    auto message = channel.receive(mews::forever);
    if (!message) return message.error().code() == mews::ErrorCode::closed ? 0 : 1;
    const auto envelope = message->envelope();
    const auto statement = held_slabs.state();
    const auto sent = envelope.type == kSayWhatYouHold
                          ? channel.send(std::as_bytes(std::span(&statement, 1)), envelope)
                          : channel.send(std::move(*message).into_loan(), envelope);
    if (!sent) return 1;
  }
}
