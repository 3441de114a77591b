// SPDX-License-Identifier: MIT
#pragma once

/// For what runs with each message: it is compiled into its caller, however large the compiler
/// thinks it. Only then does the compiler see, before it lays out the code, that each refusal leads
/// to a call of a cold function, and moves all of them out of the way; and what the caller knows
/// (a payload's size) becomes a constant.
#define MEWS_HOT [[gnu::always_inline]] inline
