// SPDX-License-Identifier: Apache-2.0
/// @file
/// Loaded samples moved between ranks with few bytes.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/rebalance/bound.hpp>
#include <omnibal/rebalance/differencing.hpp>
#include <omnibal/rebalance/problem.hpp>
#include <omnibal/rebalance/rebalance.hpp>

#pragma GCC diagnostic pop
