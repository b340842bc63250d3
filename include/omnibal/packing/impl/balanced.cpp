// SPDX-License-Identifier: Apache-2.0
// The instances of balanced packing for one to three resources, for the target omnibal::compiled: a
// unit of its own, because it takes as long as the rest of the module.
#include <omnibal/packing/balanced.hpp>

#undef OMNIBAL_INSTANCE
#define OMNIBAL_INSTANCE template
#include <omnibal/packing/impl/balanced_instances.ipp>
#include <omnibal/packing/impl/bound_instances.ipp>
