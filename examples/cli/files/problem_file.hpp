// SPDX-License-Identifier: Apache-2.0
/// @file
/// Problem files: planning problems as JSON (docs/command-line.md), told apart by `kind` or, where
/// that is missing, taken to be of the kind that the sub-command expects. Keys that nothing reads
/// are errors.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/core/rational.hpp>
#include <omnibal/pipeline/frozen.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/problem.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/planner/scenarios.hpp>
#include <omnibal/recompute/exact.hpp>

#include "files/json.hpp"

namespace omnibal::cli {

/// Access to the values of a problem file; every error names the file and the field.
class problem_file {
 public:
  /// `option` is the option that named the file.
  explicit problem_file(const std::string& path, const std::string& option = "--problem");

  /// Throws unless the file's kind, if given, is among these.
  void expect_kind(const std::vector<std::string>& kinds, const std::string& command) const;

  /// Throws for a key of the problem that is neither among these nor an annotation.
  void expect_keys(std::initializer_list<std::string_view> known) const;

  /// Whether the problem has scenarios: by its kind or, without a kind, because it lists some.
  [[nodiscard]] bool is_stochastic() const;
  [[nodiscard]] bool has(const std::string& key) const;
  [[nodiscard]] std::int64_t integer(const std::string& key) const;
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t otherwise) const;
  [[nodiscard]] std::vector<std::int64_t> integers(const std::string& key) const;
  /// The same; empty where the key is missing or null.
  [[nodiscard]] std::vector<std::int64_t> optional_integers(const std::string& key) const;

  [[nodiscard]] schedule_shape schedule() const;
  [[nodiscard]] std::vector<pipeline_layer> layers() const;
  /// Per device; one number stands for all devices, null or a missing key for none.
  [[nodiscard]] std::vector<std::int64_t> per_device(const std::string& key,
                                                     std::size_t devices) const;
  /// The explicit orders, if the file gives them.
  [[nodiscard]] std::vector<std::vector<pipeline_operation>> device_order() const;

  /// The problem, without the work that frozen layers leave out.
  [[nodiscard]] pipeline_problem pipeline() const;
  /// The steps of a stochastic problem, likewise.
  [[nodiscard]] std::vector<scenario> scenarios() const;
  [[nodiscard]] std::optional<rational> alpha() const;
  /// Cuts and modes, of a file that holds a plan.
  [[nodiscard]] pipeline_plan plan() const;
  [[nodiscard]] recompute_problem recompute() const;

 private:
  /// Which gradients each layer computes.
  [[nodiscard]] std::vector<gradient_needs> gradients() const;
  [[nodiscard]] std::vector<layer_pair> pairs(const std::string& key) const;
  [[nodiscard]] std::vector<rational> speeds(std::size_t devices) const;
  [[nodiscard]] const json& at(const std::string& key) const;
  [[nodiscard]] std::string named(const std::string& key) const { return path_ + ": " + key; }

  std::string path_;
  json values_;
};

}  // namespace omnibal::cli
