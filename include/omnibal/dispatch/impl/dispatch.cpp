// SPDX-License-Identifier: Apache-2.0
// The bodies of the module dispatch, for the target omnibal::compiled.
#include <omnibal/dispatch/impl/dispatch.ipp>
#include <omnibal/dispatch/impl/epoch.ipp>
#include <omnibal/dispatch/impl/metrics.ipp>
#include <omnibal/dispatch/impl/microbatch_order.ipp>
#include <omnibal/dispatch/impl/plan.ipp>
#include <omnibal/dispatch/impl/sequence_parallel.ipp>
#include <omnibal/dispatch/impl/serialize.ipp>
