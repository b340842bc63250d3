// SPDX-License-Identifier: Apache-2.0
#include "reports/html_template.hpp"

#include <algorithm>
#include <stdexcept>

#include "options/one_line.hpp"

namespace omnibal::cli {
namespace {

[[noreturn]] void fail(std::string_view name, const char* what) {
  throw std::logic_error("HTML template: " + std::string(name) + " " + what);
}

/// The values that names stand for in a section, and those of the sections around it.
struct scope {
  const html_value& values;
  const scope* around = nullptr;

  [[nodiscard]] const html_value& find(std::string_view name) const {
    if (name == ".") return values;
    if (const auto* members = std::get_if<html_value::object>(&values.value))
      if (const auto found = members->find(name); found != members->end()) return found->second;
    if (around == nullptr) fail(name, "is missing");
    return around->find(name);
  }

  template <typename Kind>
  [[nodiscard]] const Kind& get(std::string_view name) const {
    const Kind* const found = std::get_if<Kind>(&find(name).value);
    if (found == nullptr) fail(name, "is of another kind");
    return *found;
  }
};

/// Removes the text up to the mark, and the mark, from the front; returns the text.
std::string_view take_until(std::string_view mark, std::string_view& page) {
  const std::size_t found = page.find(mark);
  if (found == std::string_view::npos) fail(mark, "is missing");
  const std::string_view text = page.substr(0, found);
  page.remove_prefix(found + mark.size());
  return text;
}

std::string fill(std::string_view page, const scope& known) {
  std::string html;
  while (page.find("{{") != std::string_view::npos) {
    html += take_until("{{", page);
    const std::string_view tag = take_until("}}", page);
    const std::string_view name = tag.substr(std::min<std::size_t>(1, tag.size()));
    if (tag.starts_with('#')) {
      const std::string_view section = take_until("{{/" + std::string(name) + "}}", page);
      for (const html_value& element : known.get<html_value::list>(name))
        html += fill(section, {element, &known});
    } else if (tag.starts_with('&')) {
      html += known.get<std::string>(name);
    } else {
      html += escaped(known.get<std::string>(tag));
    }
  }
  return html += page;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  for (const char c : printable(text)) switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += c;
    }
  return safe;
}

std::string fill_template(std::string_view page, const html_value::object& values) {
  const html_value all(values);
  return fill(page, {all});
}

}  // namespace omnibal::cli
