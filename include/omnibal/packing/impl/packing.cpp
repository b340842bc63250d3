// SPDX-License-Identifier: Apache-2.0
// The bodies of the module packing, for the target omnibal::compiled.
#include <omnibal/packing/impl/metrics.ipp>
