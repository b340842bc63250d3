// SPDX-License-Identifier: Apache-2.0
/// @file
/// The vector types of CUDA with their alignments. Arrays of their elements are accessed through
/// them, as CUDA permits.
#pragma once

#define EMULATOR_VECTOR_2(name, element, alignment)   \
  struct alignas(alignment) [[gnu::may_alias]] name { \
    element x, y;                                     \
  };                                                  \
  constexpr name make_##name(element x, element y) { return {x, y}; }
#define EMULATOR_VECTOR_4(name, element, alignment)   \
  struct alignas(alignment) [[gnu::may_alias]] name { \
    element x, y, z, w;                               \
  };                                                  \
  constexpr name make_##name(element x, element y, element z, element w) { return {x, y, z, w}; }

EMULATOR_VECTOR_2(short2, short, 4)
EMULATOR_VECTOR_2(int2, int, 8)
EMULATOR_VECTOR_2(uint2, unsigned, 8)
EMULATOR_VECTOR_2(longlong2, long long, 16)
EMULATOR_VECTOR_2(ulonglong2, unsigned long long, 16)
EMULATOR_VECTOR_2(float2, float, 8)
EMULATOR_VECTOR_2(double2, double, 16)
EMULATOR_VECTOR_4(uchar4, unsigned char, 4)
EMULATOR_VECTOR_4(int4, int, 16)
EMULATOR_VECTOR_4(uint4, unsigned, 16)
EMULATOR_VECTOR_4(float4, float, 16)
#undef EMULATOR_VECTOR_2
#undef EMULATOR_VECTOR_4

struct uint3 {
  unsigned x, y, z;
};

struct dim3 {
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
  unsigned x, y, z;
};
