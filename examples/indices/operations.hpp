// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operations of case files: the input of a case → its outputs, as docs/device-indices.md
/// defines them.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "case_input.hpp"
#include "forms.hpp"

namespace omnibal::examples {

using operation = json (*)(const forms& form, const json& in);

/// Refuses an input whose outputs are too long to be printed. `entries` is at least 0.
void require_few_entries(const forms& form, const char* input, std::int64_t value,
                         std::int64_t entries);

/// The operations of one file of sources, with their names.
using named_operations = std::vector<std::pair<std::string_view, operation>>;
[[nodiscard]] named_operations document_operations();
[[nodiscard]] named_operations split_operations();
[[nodiscard]] named_operations mask_operations();
[[nodiscard]] named_operations image_operations();
/// What single consumers do, right or wrong.
[[nodiscard]] named_operations consumer_operations();

struct case_answers {
  json answer;
  /// Whether a case lacks an input, or has one that is unknown or of another kind.
  bool malformed = false;
};

/// Answers a file of cases: {"operation", "cases": [{"name", "out", "error"?}]}. A case that is
/// refused has its reason as "error", and in "out" only what is defined all the same. Throws
/// invalid_input for a file that is not of the form, and for an operation that is not known.
[[nodiscard]] case_answers answer_cases(const forms& form, const json& file);

}  // namespace omnibal::examples
