// SPDX-License-Identifier: Apache-2.0
// The bodies of the module planner, for the target omnibal::compiled.
#include <omnibal/planner/impl/advice.ipp>
#include <omnibal/planner/impl/assign_modes.ipp>
#include <omnibal/planner/impl/objective.ipp>
#include <omnibal/planner/impl/plan_jointly.ipp>
#include <omnibal/planner/impl/scenarios.ipp>
