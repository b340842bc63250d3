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

/// The operations of one file of sources, with their names.
using named_operations = std::vector<std::pair<std::string_view, operation>>;
[[nodiscard]] named_operations document_operations();
[[nodiscard]] named_operations split_operations();
[[nodiscard]] named_operations mask_operations();
[[nodiscard]] named_operations image_operations();
/// What single consumers do, right or wrong.
[[nodiscard]] named_operations consumer_operations();

/// Answers a file of cases: {"operation", "cases": [{"name", "out", "error"?}]}. A case that is
/// refused has its reason as "error", and in "out" only what is defined all the same. Throws
/// invalid_input for a file that is not of the form, and for an operation that is not known.
[[nodiscard]] json answer_cases(const forms& form, const json& file);

}  // namespace omnibal::examples
