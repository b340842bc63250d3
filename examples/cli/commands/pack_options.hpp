// SPDX-License-Identifier: Apache-2.0
/// @file
/// The options of `omnibal pack`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/packing/packers.hpp>

#include "files/given_files.hpp"
#include "tables/tables.hpp"

namespace omnibal::cli {

struct pack_options {
  table_options tables = {};
  std::string repeat = {};
  std::string capacity = {};
  std::string most = {};
  std::optional<double> samples_per_pack = {};
  std::string threshold = {};
  std::string method = std::string(packers::balanced::name);
  std::optional<std::int64_t> iterations = {};
  std::optional<isf_stream> stream = {};
  std::optional<std::int64_t> buffer = {};
  std::optional<std::int64_t> age_limit = {};
  std::optional<std::int64_t> good_enough = {};
  std::int64_t level_rounds = 0;
  std::int64_t ranks = 8;
  std::int64_t microbatches = 1;
  std::int64_t sequence_parallel_size = 1;
  last_step_policy last_step = last_step_policy::spread;
  std::int64_t window = 1;
  bool largest_first = false;
  std::int64_t seed = 1024;
  std::int64_t epoch = 0;
  oversize_policy oversize = oversize_policy::reject;
  std::string evaluate = {};
  std::string out = {};
};

/// Adds all of them. Files and options must outlive the command's
/// parsing.
void add_pack_options(CLI::App& command, given_files& files, pack_options& options);

/// No option may be ignored in silence: throws usage_error for one that has no meaning beside the
/// others.
void refuse_unused_options(const pack_options& options);

/// With --evaluate no packs are made: throws usage_error for an option that says how to make them.
void refuse_options_beside_evaluate(const CLI::App& command);

}  // namespace omnibal::cli
