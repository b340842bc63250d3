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
  if (!object.is_object())
    throw malformed_case("the file or a case", object.type_name(),
                         "must be an object: {\"operation\", \"cases\": [{\"name\", \"in\"}]}");
  if (!object.contains(name)) throw malformed_case(name, "nothing", "must be given");
  if (!(object.at(name).*is_kind)())
    throw malformed_case(name, object.at(name).type_name(),
                         "is of another kind: a file has {\"operation\": text, \"cases\": "
                         "[{\"name\": text, \"in\": object}]}");
  return object.at(name);
}

json answer(const forms& form, operation function, const json& one, bool& malformed) {
  json result = {{"name", need(one, "name", &json::is_string)}};
  try {
    result["out"] = function(form, need(one, "in", &json::is_object));
    if (!result["out"].contains("error")) return result;
    result["error"] = result["out"]["error"];
    result["out"].erase("error");
  } catch (const invalid_input& error) {
    malformed = malformed || dynamic_cast<const malformed_case*>(&error) != nullptr;
    result["out"] = json::object();
    result["error"] = error.what();
  }
  return result;
}

}  // namespace

void require_few_entries(const forms& form, const char* input, std::int64_t value,
                         std::int64_t entries) {
  if (entries > form.most_entries())
    throw invalid_input(
        input, value,
        "gives an array of " + std::to_string(entries) + " entries: this command prints at most " +
            std::to_string(form.most_entries()) + "; the library has no such limit");
}

case_answers answer_cases(const forms& form, const json& file) {
  const auto name = need(file, "operation", &json::is_string).get<std::string>();
  const operation function = find_operation(name);
  json cases = json::array();
  bool malformed = false;
  for (const json& one : need(file, "cases", &json::is_array))
    cases.push_back(answer(form, function, one, malformed));
  return {{{"operation", name}, {"cases", std::move(cases)}}, malformed};
}

}  // namespace omnibal::examples
