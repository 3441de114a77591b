// SPDX-License-Identifier: MIT
#pragma once

/// All that a host or a plugin needs.
#include "mews/channel.hpp"
#include "mews/deadline.hpp"
#include "mews/error.hpp"
#include "mews/ids.hpp"
#include "mews/link.hpp"
#include "mews/loan.hpp"
#include "mews/message.hpp"
#include "mews/options.hpp"
#include "mews/plugin.hpp"
#include "mews/session.hpp"
#include "mews/stats.hpp"
#include "mews/stream.hpp"
#include "mews/version.hpp"
#include "mews/wait_set.hpp"
