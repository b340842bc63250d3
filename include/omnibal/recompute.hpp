// SPDX-License-Identifier: Apache-2.0
/// @file
/// Recomputation chosen under a memory budget.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/recompute/exact.hpp>
#include <omnibal/recompute/extreme_modes.hpp>

#pragma GCC diagnostic pop
