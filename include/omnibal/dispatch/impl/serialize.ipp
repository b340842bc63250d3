// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/byte_stream.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/plan.hpp>
#include <omnibal/dispatch/serialize.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline constexpr std::string_view plan_mark = "OMNIPLAN";
inline constexpr std::uint32_t plan_version = 1;

}  // namespace detail

OMNIBAL_INLINE std::vector<std::byte> to_bytes(const dispatch_plan& plan, std::uint64_t inputs) {
  validate(plan);
  byte_writer bytes(detail::plan_mark, detail::plan_version);
  bytes.add(plan.ranks);
  bytes.add(inputs);
  bytes.add(plan.groups.offsets());
  bytes.add(plan.groups.indices());
  bytes.add(std::span(plan.dropped));
  bytes.add(std::span(plan.mask));
  return bytes.finish();
}

OMNIBAL_INLINE dispatch_plan dispatch_plan_from_bytes(std::span<const std::byte> bytes,
                                                      std::uint64_t inputs) {
  byte_reader reader("plan", bytes, detail::plan_mark, detail::plan_version);
  dispatch_plan plan{.ranks = reader.read<std::uint32_t>()};
  if (const auto made_for = reader.read<std::uint64_t>(); made_for != inputs)
    throw invalid_input("plan inputs", made_for,
                        "is not the fingerprint of these inputs, " + std::to_string(inputs) +
                            ": the plan was made for others");
  auto offsets = reader.read_list<std::uint64_t>();
  plan.groups = {std::move(offsets), reader.read_list<std::uint32_t>()};
  plan.dropped = reader.read_list<std::uint32_t>();
  plan.mask = reader.read_list<std::uint8_t>();
  reader.expect_end();
  validate(plan);
  return plan;
}

}  // namespace omnibal::inline v0
