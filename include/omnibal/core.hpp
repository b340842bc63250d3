// SPDX-License-Identifier: Apache-2.0
/// @file
/// What all modules share: errors, checked integers, loads, groupings, random numbers, search
/// results.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/byte_stream.hpp>
#include <omnibal/core/deadline.hpp>
#include <omnibal/core/emptied_when_moved.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/parallel.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/core/rational.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/core/utf8.hpp>

#pragma GCC diagnostic pop
