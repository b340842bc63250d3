// SPDX-License-Identifier: Apache-2.0
/// @file
/// A whole training run, planned and simulated: capacities, packs, dispatch, partition,
/// recomputation.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/run/candidate_ranking.hpp>
#include <omnibal/run/capacity_search.hpp>
#include <omnibal/run/cluster_shape_search.hpp>
#include <omnibal/run/comparison.hpp>
#include <omnibal/run/epoch_simulation.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/execution_program.hpp>
#include <omnibal/run/layer_binding.hpp>
#include <omnibal/run/microbatch_order_search.hpp>
#include <omnibal/run/microbatch_packer.hpp>
#include <omnibal/run/microbatches.hpp>
#include <omnibal/run/plan_run.hpp>
#include <omnibal/run/problem.hpp>
#include <omnibal/run/replay.hpp>
#include <omnibal/run/schedule_search.hpp>
#include <omnibal/run/step_timeline.hpp>

#pragma GCC diagnostic pop
