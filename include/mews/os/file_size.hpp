// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Makes the file behind the open descriptor `fd` `bytes` long. Above the limit of file sizes:
/// `os_error` with EFBIG, and no signal.
[[nodiscard]] Result<void> set_file_size(int fd, std::uint64_t bytes);

}  // namespace mews::inline MEWS_LAYOUT::os
