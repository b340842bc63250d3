// SPDX-License-Identifier: Apache-2.0
/// @file
/// Fills HTML templates, in a subset of the language mustache: {{name}} is a text, escaped;
/// {{&name}} is HTML as it is; {{#name}} … {{/name}} is repeated for each element of a list, whose
/// own values hide those around it, and {{.}} is an element that is a text itself. A section holds
/// none of its own name.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace omnibal::cli {

/// What a template is filled with: a text, a list, or texts and lists by name.
struct html_value {
  using list = std::vector<html_value>;
  using object = std::map<std::string, html_value, std::less<>>;

  std::variant<std::string, list, object> value = {};

  html_value(std::string text) : value(std::move(text)) {}
  html_value(const char* text) : value(std::string(text)) {}
  html_value(list elements) : value(std::move(elements)) {}
  html_value(object members) : value(std::move(members)) {}
};

/// The text with the characters escaped that mean something in HTML.
[[nodiscard]] std::string escaped(std::string_view text);

/// The page of a template. Throws std::logic_error where the template names a missing value or does
/// not close a section.
[[nodiscard]] std::string fill_template(std::string_view page, const html_value::object& values);

}  // namespace omnibal::cli
