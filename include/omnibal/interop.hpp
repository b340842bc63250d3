// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans in the formats of other trainers.
#pragma once

#include <omnibal/interop/megatron_layout.hpp>
