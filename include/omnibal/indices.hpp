// SPDX-License-Identifier: Apache-2.0
/// @file
/// Indices of packed batches, made on the host: offsets, positions, labels, masks, images. The
/// device forms are in gpu/.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/indices/blocks.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/documents.hpp>
#include <omnibal/indices/images.hpp>
#include <omnibal/indices/interpolation.hpp>
#include <omnibal/indices/intervals.hpp>
#include <omnibal/indices/layout.hpp>
#include <omnibal/indices/offsets.hpp>
#include <omnibal/indices/packed_batch.hpp>
#include <omnibal/indices/rope.hpp>
#include <omnibal/indices/rope_slot.hpp>
#include <omnibal/indices/rows.hpp>
#include <omnibal/indices/split.hpp>
#include <omnibal/indices/tokens.hpp>
#include <omnibal/indices/tree.hpp>
#include <omnibal/indices/weights.hpp>

#pragma GCC diagnostic pop
