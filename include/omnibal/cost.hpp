// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a layer costs in time and bytes: devices, models, formulas, fits to measurements.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/cost/calibration.hpp>
#include <omnibal/cost/chain_costs.hpp>
#include <omnibal/cost/device.hpp>
#include <omnibal/cost/layer_costs.hpp>
#include <omnibal/cost/linear_fit.hpp>
#include <omnibal/cost/model.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/cost/presets.hpp>
#include <omnibal/cost/tensor_parallel.hpp>
#include <omnibal/cost/workload.hpp>

#pragma GCC diagnostic pop
