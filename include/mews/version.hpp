// SPDX-License-Identifier: MIT
#pragma once

#define MEWS_VERSION_MAJOR 0
#define MEWS_VERSION_MINOR 1
#define MEWS_VERSION_PATCH 0
#define MEWS_VERSION_STRING "0.1.0"
