// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples before they are packed: several tables read as one, weighted mixtures, keys by which a
/// plan follows its samples to a reordered table, and made-up tables.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/dataset/length_shape.hpp>
#include <omnibal/dataset/mixture.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/dataset/table_index.hpp>

#pragma GCC diagnostic pop
