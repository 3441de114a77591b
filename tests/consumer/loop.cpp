// SPDX-License-Identifier: MIT
// What inline.cmake disassembles: one function, whose calls into the library it looks at.
#include <cstddef>
#include <mews/mews.hpp>
#include <span>

bool send_and_receive(mews::Channel& here, mews::Channel& there,
                      std::span<const std::byte, 64> bytes, int times) {
  for (int i = 0; i < times; ++i) {
    if (!here.send(bytes)) return false;
    const auto message = there.receive();
    if (!message || message->size() != bytes.size()) return false;
  }
  return true;
}
