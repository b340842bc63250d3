// SPDX-License-Identifier: Apache-2.0
// The bodies of the module recompute, for the target omnibal::compiled.
#include <omnibal/recompute/impl/exact.ipp>
#include <omnibal/recompute/impl/extreme_modes.ipp>
