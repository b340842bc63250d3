// SPDX-License-Identifier: Apache-2.0
// The bodies of the module rebalance, for the target omnibal::compiled.
#include <omnibal/rebalance/impl/bound.ipp>
#include <omnibal/rebalance/impl/differencing.ipp>
#include <omnibal/rebalance/impl/problem.ipp>
#include <omnibal/rebalance/impl/rebalance.ipp>
