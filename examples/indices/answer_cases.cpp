// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include <omnibal/core.hpp>

#include "operations.hpp"

namespace omnibal::examples {

namespace {

operation find_operation(const std::string& name) {
  std::string known;
  for (const auto& family : {document_operations(), split_operations(), mask_operations(),
                             image_operations(), consumer_operations()})
    for (const auto& [one, function] : family) {
      if (one == name) return function;
      known.append(known.empty() ? "" : ", ").append(one);
    }
  throw invalid_input("operation", name, "must be one of " + known);
}

const json& need(const json& object, const char* name, bool (json::*is_kind)() const noexcept) {
  if (!object.is_object() || !object.contains(name) || !(object.at(name).*is_kind)())
    throw invalid_input(name, object.is_object() ? "missing, or of another kind" : "no object",
                        "is not what a file of cases has");
  return object.at(name);
}

json answer(const forms& form, operation function, const json& one) {
  json result = {{"name", need(one, "name", &json::is_string)}};
  try {
    result["out"] = function(form, need(one, "in", &json::is_object));
    if (!result["out"].contains("error")) return result;
    result["error"] = result["out"]["error"];
    result["out"].erase("error");
  } catch (const invalid_input& error) {
    result["out"] = json::object();
    result["error"] = error.what();
  }
  return result;
}

}  // namespace

json answer_cases(const forms& form, const json& file) {
  const auto name = need(file, "operation", &json::is_string).get<std::string>();
  const operation function = find_operation(name);
  json cases = json::array();
  for (const json& one : need(file, "cases", &json::is_array))
    cases.push_back(answer(form, function, one));
  return {{"operation", name}, {"cases", std::move(cases)}};
}

}  // namespace omnibal::examples
