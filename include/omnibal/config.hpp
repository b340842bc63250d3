// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every header needs to know about the compiler.
#pragma once

#if !defined(__cplusplus) || \
    (__cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L))
#error "Omnibal needs C++20: compile with -std=c++20 or link the CMake target omnibal::omnibal"
#endif

/// Marks functions that device code calls too; nothing outside a CUDA compiler.
#if defined(__CUDACC__)
#define OMNIBAL_HD __host__ __device__
#else
#define OMNIBAL_HD
#endif
