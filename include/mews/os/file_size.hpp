// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Makes the file behind the open descriptor `fd` so many bytes long. `os_error` with EFBIG above
/// the limit of file sizes, and no signal.
[[nodiscard]] Result<void> set_file_size(int fd, std::uint64_t bytes);

}  // namespace mews::inline MEWS_LAYOUT::os
