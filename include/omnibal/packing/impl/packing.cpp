// SPDX-License-Identifier: Apache-2.0
// The bodies of the module packing and its instances for one to three resources, for the target
// omnibal::compiled.
#include <omnibal/packing/capacity_choice.hpp>
#include <omnibal/packing/impl/drawn_samples.ipp>
#include <omnibal/packing/impl/metrics.ipp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/streaming.hpp>
#include <omnibal/packing/swap_improvement.hpp>

#undef OMNIBAL_INSTANCE
#define OMNIBAL_INSTANCE template
#include <omnibal/packing/impl/capacity_choice_instances.ipp>
#include <omnibal/packing/impl/isf_instances.ipp>
#include <omnibal/packing/impl/streaming_instances.ipp>
#include <omnibal/packing/impl/swap_improvement_instances.ipp>
