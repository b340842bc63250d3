// SPDX-License-Identifier: Apache-2.0
/// @file
/// Assignment of packs to steps, ranks and micro-batches; epochs that resume from a checkpoint.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/dispatch/epoch.hpp>
#include <omnibal/dispatch/metrics.hpp>
#include <omnibal/dispatch/microbatch_order.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/dispatch/sequence_parallel.hpp>
#include <omnibal/dispatch/serialize.hpp>

#pragma GCC diagnostic pop
