// SPDX-License-Identifier: Apache-2.0
/// @file
/// Balancing ranks by moving samples that are already loaded, with little communication.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/rebalance/bound.hpp>
#include <omnibal/rebalance/differencing.hpp>
#include <omnibal/rebalance/problem.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#pragma GCC diagnostic pop
