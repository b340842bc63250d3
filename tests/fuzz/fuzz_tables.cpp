// SPDX-License-Identifier: Apache-2.0
// Whatever bytes a length table holds, its reader takes them or throws invalid_input. The first
// byte says which reader.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <omnibal/core/error.hpp>

#include "tables/table_formats.hpp"

using namespace omnibal;
using namespace omnibal::cli;

namespace {

const std::vector<resource_column> by_name = {{"images", "vit_num"}, {"tokens", "token_num"}};
const std::vector<resource_column> by_number = {{"images", "1"}, {"tokens", "0"}};

void read(unsigned kind, const table_text& table) {
  load_table<2> samples;
  switch (kind % 4) {
    case 0: return append_json<2>(json_kind::list, table, samples);
    case 1: return append_json<2>(json_kind::lines, table, samples);
    case 2: return append_csv<2>(table, samples);
    default: return append_npy<2>(table, samples);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Readers may look at a few bytes beyond the text, which files are given; nothing further.
  std::vector<char> bytes(data + 1, data + size);
  const std::size_t length = bytes.size();
  bytes.resize(length + 64);
  try {
    read(data[0], {"t", {bytes.data(), length}, data[0] & 4 ? by_number : by_name});
  } catch (const invalid_input&) {
  }
  return 0;
}
