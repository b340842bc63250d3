// SPDX-License-Identifier: Apache-2.0
/// @file
/// A chain of layers cut into stages.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/partition/chain.hpp>

#pragma GCC diagnostic pop
