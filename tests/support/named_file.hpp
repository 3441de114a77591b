// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include "mews/os/memory_file.hpp"

namespace mews_test {

/// Shared memory under a name without an owner, as a dead host leaves it.
[[nodiscard]] inline mews::os::MemoryFile leave_named(const std::string& name,
                                                      std::uint64_t bytes) {
  mews::os::UniqueFd fd(::shm_open(("/" + name).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
  if (!fd || ::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    throw std::runtime_error("no memory under the name " + name);
  }
  return mews::os::MemoryFile::adopt(std::move(fd));
}

}  // namespace mews_test
