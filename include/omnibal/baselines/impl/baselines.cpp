// SPDX-License-Identifier: Apache-2.0
// The bodies of the module baselines, for the target omnibal::compiled.
#include <omnibal/baselines/impl/adaptive_recomputation.ipp>
#include <omnibal/baselines/impl/anchor_partition.ipp>
#include <omnibal/baselines/impl/even_partition.ipp>
#include <omnibal/baselines/impl/paper_plan.ipp>
#include <omnibal/baselines/impl/planners.ipp>
#include <omnibal/baselines/impl/trainer_samplers.ipp>
#include <omnibal/baselines/impl/uniform_recomputation.ipp>
#include <omnibal/baselines/impl/vision_first_partition.ipp>
