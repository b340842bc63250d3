// SPDX-License-Identifier: Apache-2.0
// The bodies of the module planner, for the target omnibal::compiled.
#include <omnibal/planner/impl/advice.ipp>
#include <omnibal/planner/impl/assign_modes.ipp>
#include <omnibal/planner/impl/objectives/blocking_bottleneck.ipp>
#include <omnibal/planner/impl/objectives/bottleneck.ipp>
#include <omnibal/planner/impl/objectives/closed_form.ipp>
#include <omnibal/planner/impl/objectives/makespan.ipp>
#include <omnibal/planner/impl/objectives/period.ipp>
#include <omnibal/planner/impl/objectives/variance.ipp>
#include <omnibal/planner/impl/plan_jointly.ipp>
#include <omnibal/planner/impl/scenarios.ipp>
#include <omnibal/planner/impl/search_partitions.ipp>
