// SPDX-License-Identifier: Apache-2.0
/// @file
/// A chain of layers cut into stages.
#pragma once

#include <omnibal/partition/chain.hpp>
