// SPDX-License-Identifier: Apache-2.0
/// @file
/// Grouping samples into packs: packers, lower bounds on the number of packs, choice of capacities,
/// metrics.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/bound.hpp>
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/drawn_samples.hpp>
#include <omnibal/packing/dual_bound.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/numpy_shuffle.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/packers.hpp>
#include <omnibal/packing/packing_check.hpp>
#include <omnibal/packing/result.hpp>
#include <omnibal/packing/streaming.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#pragma GCC diagnostic pop
