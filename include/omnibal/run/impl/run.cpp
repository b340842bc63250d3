// SPDX-License-Identifier: Apache-2.0
// The bodies of the module run, for the target omnibal::compiled.
#include <omnibal/run/impl/capacity_search.ipp>
#include <omnibal/run/impl/cluster_shape_search.ipp>
#include <omnibal/run/impl/epoch_simulation.ipp>
#include <omnibal/run/impl/execution_plan.ipp>
#include <omnibal/run/impl/execution_program.ipp>
#include <omnibal/run/impl/layer_binding.ipp>
#include <omnibal/run/impl/microbatch_order_search.ipp>
#include <omnibal/run/impl/microbatches.ipp>
#include <omnibal/run/impl/plan_run.ipp>
#include <omnibal/run/impl/problem.ipp>
#include <omnibal/run/impl/replay.ipp>
#include <omnibal/run/impl/schedule_search.ipp>
#include <omnibal/run/impl/step_timeline.ipp>
