// SPDX-License-Identifier: Apache-2.0
/// @file
/// What every header needs to know about the compiler.
///
/// The umbrellas switch -Wshadow off for the headers they include: GCC warns again where a template
/// is instantiated, when the program that includes it has a global of the same name as a parameter.
#pragma once

// A header that does not exist ends the compilation after the error that says what to do: hundreds
// of others would follow.
#if !defined(__cplusplus) || \
    (__cplusplus < 202002L && !(defined(_MSVC_LANG) && _MSVC_LANG >= 202002L))
#error "Omnibal needs C++20: compile with -std=c++20 or link the CMake target omnibal::omnibal"
#include <omnibal/stopped_by_the_error_above>
#elif !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "Omnibal reports bad input by exceptions: compile without -fno-exceptions"
#include <omnibal/stopped_by_the_error_above>
#endif

/// Marks functions that device code calls too; nothing outside a CUDA compiler.
#if defined(__CUDACC__)
#define OMNIBAL_HD __host__ __device__
#else
#define OMNIBAL_HD
#endif

/// Marks the functions whose bodies are in <module>/impl/*.ipp. Headers include those bodies at
/// their end, as inline functions; with OMNIBAL_SEPARATE_COMPILATION, which the CMake target
/// omnibal::compiled defines, they leave them to its library.
#if defined(OMNIBAL_SEPARATE_COMPILATION)
#define OMNIBAL_INLINE
/// Marks the instances of templates that this library also has, <module>/impl/*_instances.ipp.
#if !defined(OMNIBAL_INSTANCE)
#define OMNIBAL_INSTANCE extern template
#endif
#else
#define OMNIBAL_INLINE inline
#endif
