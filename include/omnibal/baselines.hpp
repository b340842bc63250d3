// SPDX-License-Identifier: Apache-2.0
/// @file
/// Baselines to compare with: the OmniBal paper's methods, and those of other trainers and
/// planners.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/baselines/adaptive_recomputation.hpp>
#include <omnibal/baselines/anchor_partition.hpp>
#include <omnibal/baselines/even_partition.hpp>
#include <omnibal/baselines/paper_options.hpp>
#include <omnibal/baselines/paper_plan.hpp>
#include <omnibal/baselines/planners.hpp>
#include <omnibal/baselines/trainer_samplers.hpp>
#include <omnibal/baselines/uniform_recomputation.hpp>
#include <omnibal/baselines/vision_first_partition.hpp>

#pragma GCC diagnostic pop
