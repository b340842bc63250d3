// SPDX-License-Identifier: Apache-2.0
// The bodies of the module pipeline, for the target omnibal::compiled.
#include <omnibal/pipeline/impl/evaluate.ipp>
#include <omnibal/pipeline/impl/evaluated_plan.ipp>
#include <omnibal/pipeline/impl/frozen.ipp>
#include <omnibal/pipeline/impl/memory.ipp>
#include <omnibal/pipeline/impl/message_order.ipp>
#include <omnibal/pipeline/impl/operation_graph.ipp>
#include <omnibal/pipeline/impl/partition_constraints.ipp>
#include <omnibal/pipeline/impl/problem.ipp>
#include <omnibal/pipeline/impl/schedule.ipp>
#include <omnibal/pipeline/impl/simulate_items.ipp>
#include <omnibal/pipeline/impl/static_memory.ipp>
#include <omnibal/pipeline/impl/step_simulation.ipp>
#include <omnibal/pipeline/impl/step_times.ipp>
