// SPDX-License-Identifier: MIT
#include "compare/roudi.hpp"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

void write_pool(std::ofstream& file, const ChunkPool& pool) {
  file << "[[segment.mempool]]\nsize = " << pool.bytes << "\ncount = " << pool.count << "\n";
}

/// The daemon wants one pool a size, the smaller first.
void write_config(const std::string& path, ChunkPool small, ChunkPool large) {
  if (small.bytes > large.bytes) std::swap(small, large);
  std::ofstream file(path);
  file << "[general]\nversion = 1\n[[segment]]\n";
  if (small.bytes == large.bytes) {
    large.count += small.count;
  } else {
    write_pool(file, small);
  }
  write_pool(file, large);
  require(file.flush().good(), "the configuration of RouDi");
}

}  // namespace

bool RouDi::is_installed() {
  for (const char* path : {"/usr/bin/iox-roudi", "/usr/local/bin/iox-roudi"}) {
    if (::access(path, X_OK) == 0) return true;
  }
  return false;
}

void RouDi::remove_remains() {
  ::shm_unlink("/iceoryx_mgmt");
  // The segment of the pools has the name of the group that may write to it.
  const auto* group = ::getgrgid(::getegid());
  if (group != nullptr) ::shm_unlink((std::string("/") + group->gr_name).c_str());
}

RouDi::RouDi(const ChunkPool& requests, const ChunkPool& replies) {
  const auto parent = ::getpid();
  const auto config = "/tmp/mews-compare-" + std::to_string(parent) + ".toml";
  write_config(config, requests, replies);
  std::fflush(nullptr);
  pid_ = ::fork();
  require(pid_ >= 0, "fork");
  if (pid_ != 0) return;
  ::signal(SIGCHLD, SIG_DFL);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(1);
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::dup2(null, 1);
  ::dup2(null, 2);
  // Without monitoring: it takes a process for dead that gets no processor for a second.
  ::execlp("iox-roudi", "iox-roudi", "-m", "off", "-l", "off", "-c", config.c_str(), nullptr);
  ::_exit(127);
}

}  // namespace mews::bench::compare
