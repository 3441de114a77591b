// SPDX-License-Identifier: MIT
#include "mews/mews.hpp"

// Sends back whatever comes, in the memory that it came in, until its host has nothing more.
int main() {
  auto session = mews::Session::attach();
  if (!session) return 1;
  for (;;) {
    auto message = session->channel().receive(mews::forever);
    if (!message) return message.error().code() == mews::ErrorCode::closed ? 0 : 1;
    const auto envelope = message->envelope();
    if (!session->channel().send(std::move(*message).into_loan(), envelope)) return 1;
  }
}
