// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <omnibal/dataset.hpp>

using samples = std::vector<omnibal::loads<2>>;

void right(const samples& table, std::span<const std::string> names) {
  (void)omnibal::table_fingerprint(table);
  (void)omnibal::keyed_fingerprint(names, table);
}

#ifdef OMNIBAL_MISTAKE
void wrong(const samples& table, std::span<const double> times, std::span<const int> numbers) {
  // clang-format off
  (void)omnibal::keyed_fingerprint(times, table);                    // error: sample_key
  (void)omnibal::keyed_fingerprint(numbers, std::vector<double>());  // error: load_array|sample_range
  (void)omnibal::table_fingerprint(std::vector<std::string>());      // error: load_array|sample_range
  // clang-format on
}
#endif
