// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/byte_stream.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/dispatch/epoch.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline constexpr std::string_view epoch_state_mark = "OMNISTEP";
inline constexpr std::uint32_t epoch_state_version = 1;

}  // namespace detail

OMNIBAL_INLINE std::vector<std::byte> to_bytes(const epoch_state& state) {
  byte_writer bytes(detail::epoch_state_mark, detail::epoch_state_version);
  for (const std::uint64_t number :
       {state.epoch, state.step, state.global_batch, state.inputs, state.plan})
    bytes.add(number);
  return bytes.finish();
}

OMNIBAL_INLINE epoch_state epoch_state_from_bytes(std::span<const std::byte> bytes) {
  byte_reader reader("state", bytes, detail::epoch_state_mark, detail::epoch_state_version);
  epoch_state state;
  for (std::uint64_t* number :
       {&state.epoch, &state.step, &state.global_batch, &state.inputs, &state.plan})
    *number = reader.read<std::uint64_t>();
  reader.expect_end();
  return state;
}

OMNIBAL_INLINE std::uint64_t epoch_fingerprint(const epoch_plan& epoch) {
  return plan_hash(step_fingerprint(epoch.plan), epoch.packs);
}

OMNIBAL_INLINE void validate(const epoch_plan& epoch) {
  validate(epoch.plan);
  const auto packs = epoch.plan.groups.indices();
  for (std::size_t k = 0; k < packs.size(); ++k)
    if (packs[k] >= epoch.packs.size())
      throw invalid_input(
          "plan pack", k, packs[k],
          "must be less than the number of packs, " + std::to_string(epoch.packs.size()));
}

}  // namespace omnibal::inline v0
