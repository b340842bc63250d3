// SPDX-License-Identifier: Apache-2.0
/// @file
/// Export of plans in the formats of other trainers.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/interop/megatron_layout.hpp>

#pragma GCC diagnostic pop
