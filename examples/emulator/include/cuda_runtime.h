// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stands in for the header of the CUDA toolkit of this name: what translation units with kernels
/// include.
#pragma once

#include "cuda_runtime_api.h"
#include "emulator/intrinsics.hpp"
