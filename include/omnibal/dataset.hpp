// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples before they are packed: several tables read as one, weighted mixtures, and keys by which
/// a plan follows its samples to a reordered table.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/dataset/mixture.hpp>
#include <omnibal/dataset/sample_keys.hpp>
#include <omnibal/dataset/table_index.hpp>

#pragma GCC diagnostic pop
