// SPDX-License-Identifier: Apache-2.0
#include "options/options.hpp"

namespace omnibal::cli {
namespace {

/// Adds an option whose text `parse` turns into the target's value.
template <typename Value, typename Parse>
CLI::Option* add_parsed(CLI::App& application, const std::string& option, Value& target,
                        const std::string& description, const std::string& type,
                        const Parse& parse) {
  const auto take = [&target, parse](const std::string& text) { target = parse(text); };
  return application.add_option_function<std::string>(option, take, description)->type_name(type);
}

}  // namespace

CLI::Option* add_integer(CLI::App& application, const std::string& option, std::int64_t& target,
                         const std::string& description, integer_range range) {
  return add_parsed(application, option, target, description, "INTEGER",
                    [=](const std::string& text) { return parse_integer(option, text, range); });
}

CLI::Option* add_integer(CLI::App& application, const std::string& option,
                         std::optional<std::int64_t>& target, const std::string& description,
                         integer_range range) {
  return add_parsed(application, option, target, description, "INTEGER",
                    [=](const std::string& text) { return parse_integer(option, text, range); });
}

namespace {

CLI::Option* add_file(CLI::App& application, std::vector<given_file>& files,
                      const std::string& option, std::string& target,
                      const std::string& description) {
  const auto take = [&files, &target, option](const std::string& path) {
    target = path;
    files.push_back({option, path});
  };
  return application.add_option_function<std::string>(option, take, description)->type_name("FILE");
}

}  // namespace

CLI::Option* add_input_file(CLI::App& application, given_files& files, const std::string& option,
                            std::string& target, const std::string& description) {
  return add_file(application, files.inputs, option, target, description);
}

CLI::Option* add_output_file(CLI::App& application, given_files& files, const std::string& option,
                             std::string& target, const std::string& description) {
  return add_file(application, files.outputs, option, target, description);
}

CLI::Option* add_bytes(CLI::App& application, const std::string& option, std::int64_t& target,
                       const std::string& description, std::int64_t least) {
  return add_parsed(application, option, target, description, "BYTES",
                    [=](const std::string& text) { return parse_bytes(option, text, least); });
}

CLI::Option* add_number(CLI::App& application, const std::string& option, double& target,
                        const std::string& description) {
  return add_parsed(application, option, target, description, "NUMBER",
                    [=](const std::string& text) { return parse_number(option, text); });
}

CLI::Option* add_number(CLI::App& application, const std::string& option,
                        std::optional<double>& target, const std::string& description) {
  return add_parsed(application, option, target, description, "NUMBER",
                    [=](const std::string& text) { return parse_number(option, text); });
}

CLI::Option* add_ratio(CLI::App& application, const std::string& option,
                       std::optional<double>& target, const std::string& description) {
  return add_parsed(application, option, target, description, "SHARE",
                    [=](const std::string& text) { return parse_ratio(option, text); });
}

CLI::Option* add_share(CLI::App& application, const std::string& option, double& target,
                       const std::string& description) {
  return add_parsed(application, option, target, description, "SHARE",
                    [=](const std::string& text) { return parse_share(option, text); });
}

CLI::Option* add_fraction(CLI::App& application, const std::string& option, fraction& target,
                          const std::string& description) {
  return add_parsed(application, option, target, description, "FRACTION",
                    [=](const std::string& text) { return parse_fraction(option, text); });
}

}  // namespace omnibal::cli
