// SPDX-License-Identifier: Apache-2.0
/// @file
/// Partition and recomputation planned together.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/planner/advice.hpp>
#include <omnibal/planner/assign_modes.hpp>
#include <omnibal/planner/objective.hpp>
#include <omnibal/planner/objectives.hpp>
#include <omnibal/planner/objectives/blocking_bottleneck.hpp>
#include <omnibal/planner/objectives/bottleneck.hpp>
#include <omnibal/planner/objectives/closed_form.hpp>
#include <omnibal/planner/objectives/makespan.hpp>
#include <omnibal/planner/objectives/period.hpp>
#include <omnibal/planner/objectives/variance.hpp>
#include <omnibal/planner/plan_jointly.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/planner/search_partitions.hpp>

#pragma GCC diagnostic pop
