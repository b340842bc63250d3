// SPDX-License-Identifier: Apache-2.0
/// @file
/// Pipeline schedules simulated in time and memory; planning problems and what plans cost.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/pipeline/evaluate.hpp>
#include <omnibal/pipeline/evaluated_plan.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/infeasibility.hpp>
#include <omnibal/pipeline/layer_kind.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/message_order.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/partition_constraints.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/recompute_kind.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/schedule_size.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/schedules/gpipe.hpp>
#include <omnibal/pipeline/schedules/interleaved.hpp>
#include <omnibal/pipeline/schedules/one_forward_one_backward.hpp>
#include <omnibal/pipeline/schedules/zero_bubble_h1.hpp>
#include <omnibal/pipeline/schedules/zero_bubble_v.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/simulate_items.hpp>
#include <omnibal/pipeline/static_memory.hpp>
#include <omnibal/pipeline/step_simulation.hpp>
#include <omnibal/pipeline/step_times.hpp>
#include <omnibal/pipeline/timeline.hpp>

#pragma GCC diagnostic pop
