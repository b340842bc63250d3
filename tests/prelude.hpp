// SPDX-License-Identifier: Apache-2.0
/// @file
/// What nearly every test includes, precompiled. Tests include what they use all the same: they
/// compile without it too (-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON).
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <random>
#include <ranges>
#include <set>
#include <span>
#include <sstream>
#include <stop_token>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "catch.hpp"
