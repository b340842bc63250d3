// SPDX-License-Identifier: Apache-2.0
// Whatever bytes a saved plan or the saved state of an epoch holds, its reader takes them or throws
// invalid_input; what it takes is written as the same bytes again. The first byte says which
// reader, and whether the input becomes the content between a right mark and a right checksum,
// behind which no random bytes get.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include <omnibal/core/byte_stream.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/epoch.hpp>
#include <omnibal/dispatch/serialize.hpp>

using namespace omnibal;

namespace {

constexpr std::uint64_t inputs = 7;

/// Mark, version and fingerprint as to_bytes() writes them, the content, and its checksum.
std::vector<std::byte> sealed(std::span<const std::byte> content, bool plan) {
  const std::vector<std::byte> whole =
      plan ? to_bytes(dispatch_plan{.ranks = 1}, inputs) : to_bytes(epoch_state{});
  constexpr std::size_t head_of_plan = 8 + 4 + 4 + 8;
  constexpr std::size_t head_of_state = 8 + 4;
  std::vector<std::byte> bytes(
      whole.begin(),
      whole.begin() + static_cast<std::ptrdiff_t>(plan ? head_of_plan : head_of_state));
  bytes.insert(bytes.end(), content.begin(), content.end());
  hash_stream hash;
  hash.add(bytes);
  for (unsigned shift = 0; shift < 64; shift += 8)
    bytes.push_back(static_cast<std::byte>(hash.value() >> shift & 0xFF));
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool plan = (data[0] & 1) != 0;
  const auto content = std::as_bytes(std::span(data + 1, size - 1));
  const std::vector<std::byte> bytes = (data[0] & 2) != 0
                                           ? sealed(content, plan)
                                           : std::vector<std::byte>(content.begin(), content.end());
  try {
    const std::vector<std::byte> again =
        plan ? to_bytes(dispatch_plan_from_bytes(bytes, inputs), inputs)
             : to_bytes(epoch_state_from_bytes(bytes));
    if (again != bytes) std::abort();
  } catch (const invalid_input&) {
  }
  return 0;
}
