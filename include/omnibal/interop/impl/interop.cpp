// SPDX-License-Identifier: Apache-2.0
// The bodies of the module interop, for the target omnibal::compiled.
#include <omnibal/interop/impl/chrome_trace.ipp>
#include <omnibal/interop/impl/megatron_layout.ipp>
#include <omnibal/interop/impl/svg.ipp>
