// SPDX-License-Identifier: Apache-2.0
/// @file
/// Plans and simulated steps in the formats of others: trainers, trace viewers, pictures.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/interop/chrome_trace.hpp>
#include <omnibal/interop/megatron_layout.hpp>
#include <omnibal/interop/svg.hpp>
#include <omnibal/interop/svg_drawing.hpp>

#pragma GCC diagnostic pop
