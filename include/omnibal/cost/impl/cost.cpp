// SPDX-License-Identifier: Apache-2.0
// The bodies of the module cost, for the target omnibal::compiled.
#include <omnibal/cost/impl/calibration.ipp>
#include <omnibal/cost/impl/chain_costs.ipp>
#include <omnibal/cost/impl/device.ipp>
#include <omnibal/cost/impl/layer_costs.ipp>
#include <omnibal/cost/impl/linear_fit.ipp>
#include <omnibal/cost/impl/model.ipp>
#include <omnibal/cost/impl/own_chain.ipp>
#include <omnibal/cost/impl/presets.ipp>
#include <omnibal/cost/impl/tensor_parallel.ipp>
#include <omnibal/cost/impl/workload.ipp>
