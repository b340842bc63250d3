// SPDX-License-Identifier: Apache-2.0
// The bodies of the module indices, for the target omnibal::compiled.
#include <omnibal/indices/impl/blocks.ipp>
#include <omnibal/indices/impl/documents.ipp>
#include <omnibal/indices/impl/images.ipp>
#include <omnibal/indices/impl/interpolation.ipp>
#include <omnibal/indices/impl/offsets.ipp>
#include <omnibal/indices/impl/packed_batch.ipp>
#include <omnibal/indices/impl/rope.ipp>
#include <omnibal/indices/impl/rows.ipp>
#include <omnibal/indices/impl/tokens.ipp>
#include <omnibal/indices/impl/tree.ipp>
#include <omnibal/indices/impl/weights.ipp>
