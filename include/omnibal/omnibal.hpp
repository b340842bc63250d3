// SPDX-License-Identifier: Apache-2.0
/// @file
/// All host modules. Not included: device code, in gpu/, and the communicators that need MPI or
/// NCCL, in comm/mpi.hpp and comm/nccl.hpp.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/baselines.hpp>
#include <omnibal/comm.hpp>
#include <omnibal/core.hpp>
#include <omnibal/cost.hpp>
#include <omnibal/dataset.hpp>
#include <omnibal/dispatch.hpp>
#include <omnibal/indices.hpp>
#include <omnibal/interop.hpp>
#include <omnibal/packing.hpp>
#include <omnibal/partition.hpp>
#include <omnibal/pipeline.hpp>
#include <omnibal/planner.hpp>
#include <omnibal/rebalance.hpp>
#include <omnibal/recompute.hpp>
#include <omnibal/run.hpp>
#include <omnibal/version.hpp>

#pragma GCC diagnostic pop
