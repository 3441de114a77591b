// SPDX-License-Identifier: MIT
// A plugin that spoils the descriptors that it shares with its host: it makes them blocking and
// full. "arm": and says so; "send": and has its event loop armed for ever; "die": and ends.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "roles.hpp"

namespace {

using namespace process_test;

void spoil(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  const std::uint64_t full = 0xfffffffffffffffe;
  static_cast<void>(!::write(fd, &full, sizeof full));
  std::array<char, 4096> bytes{};
  while (::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  const int small = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK);
}

int run(const std::string& how) {
  ::signal(SIGPIPE, SIG_IGN);
  std::array<int, 4> fds{};
  const char* variable = std::getenv("MEWS_ARENA");
  if (variable == nullptr ||
      std::sscanf(variable, "%d:%d:%d:%d", &fds[0], &fds[1], &fds[2], &fds[3]) != 4) {
    return 97;
  }
  for (int& fd : fds)
    fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 100);
  auto session = must(mews::Session::attach());
  auto& channel = session.channel();
  must(channel.send(bytes_of("here")));
  for (const int fd : fds)
    spoil(fd);
  must(channel.send(bytes_of("spoilt")));
  if (how == "die") ::_exit(0);
  for (;;) {
    if (how == "send") static_cast<void>(channel.arm_event());
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "jam_plugin: %s\n", failure.what());
    return 99;
  }
}
