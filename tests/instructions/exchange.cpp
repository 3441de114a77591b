// SPDX-License-Identifier: MIT
// Usage: exchange inline|slab TIMES. A host and a plugin in one process and one thread: TIMES times
// a message goes from the one to the other, of 64 bytes that are sent as bytes, or of 1 KiB in a
// loan. Its instructions are counted by count.cmake. Exit status 1, and a line that says why, when
// a message does not arrive.
#include <dlfcn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <mews/mews.hpp>
#include <span>
#include <string_view>
#include <utility>

// In place of the C library's `syscall`. Valgrind 3.19 has no pidfd_open, by which a host watches
// its plugins' processes; here the only process is this one, and a descriptor that never becomes
// readable says the same: it lives.
using Call = long(long number, long a, long b, long c, long d, long e, long f) noexcept;
extern "C" Call call_system __asm__("syscall");
extern "C" long call_system(long number, long a, long b, long c, long d, long e, long f) noexcept {
  if (number == SYS_pidfd_open) return ::eventfd(0, EFD_CLOEXEC);
  static const auto call = reinterpret_cast<Call*>(::dlsym(RTLD_NEXT, "syscall"));
  return call(number, a, b, c, d, e, f);
}

namespace {

constexpr std::size_t kSlabBytes = 1024;

bool exchange_inline(mews::Channel& here, mews::Channel& there, long times) {
  const std::byte bytes[64] = {};
  std::size_t missing = static_cast<std::size_t>(times) * sizeof bytes;
  while (missing > 0) {
    if (!here.send(bytes)) return false;
    const auto message = there.receive();
    if (!message) return false;
    missing -= message->size();
  }
  return true;
}

bool exchange_slab(mews::Channel& here, mews::Channel& there, long times) {
  std::size_t missing = static_cast<std::size_t>(times) * kSlabBytes;
  while (missing > 0) {
    auto loan = here.loan(kSlabBytes);
    if (!loan) return false;
    if (!here.send(std::move(*loan))) return false;
    const auto message = there.receive();
    if (!message) return false;
    missing -= message->size();
  }
  return true;
}

int failed(std::string_view what) {
  std::cerr << "exchange: " << what << '\n';
  return EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return failed("usage: exchange inline|slab TIMES");
  const std::string_view kind = argv[1];
  const auto times = std::atol(argv[2]);

  mews::CreateOptions options;
  // A thread that watches would be counted as well.
  options.local.watcher = mews::Watcher::none;
  auto host = mews::Session::create(std::move(options));
  if (!host) return failed(host.error().message());
  auto joined = host->connect("partner");
  if (!joined) return failed(joined.error().message());
  auto& [plugin, session] = *joined;

  const auto exchange = kind == "slab" ? exchange_slab : exchange_inline;
  if (!exchange(plugin.channel(), session.channel(), times)) return failed("a message is missing");
}
