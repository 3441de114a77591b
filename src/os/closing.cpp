// SPDX-License-Identifier: MIT
#include "mews/os/closing.hpp"

#include <pthread.h>
#include <sys/socket.h>

#include <csignal>
#include <system_error>
#include <thread>

#if !defined(SO_PASSRIGHTS)
#define SO_PASSRIGHTS 83
#endif

namespace mews::inline MEWS_LAYOUT::os {

bool refuse_rights(int socket) noexcept {
  const int off = 0;
  return ::setsockopt(socket, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof off) == 0;
}

void close_where_nobody_waits(UniqueFd fd) noexcept {
  if (!fd) return;
  const int raw = fd.release();
  // The program's signals are for its own threads.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([raw] { ::close(raw); }).detach();
  } catch (const std::exception&) {
    // It stays open: a wait whose length a stranger decides is worse.
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace mews::inline MEWS_LAYOUT::os
