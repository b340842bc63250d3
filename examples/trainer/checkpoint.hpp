// SPDX-License-Identifier: Apache-2.0
/// @file
/// Checkpoints: a folder per saved step, with a file per layer (values and the optimizer's moments)
/// and the position in the run. Since layers are apart, a run goes on under another cut into stages
/// and another number of ranks.
///
///     runs/step-000150/position.json
///     runs/step-000150/layer-0000.bin, layer-0001.bin, …
///
/// A folder appears whole: it is written under another name, flushed to the disk and then renamed.
/// A process that is killed leaves the folder before it as it was. Every layer's file has a hash of
/// its contents.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>

#include "optimizer.hpp"

namespace omnibal::trainer {

/// A file that is missing, damaged or cannot be written; `what()` names it.
class checkpoint_error : public std::runtime_error {
 public:
  checkpoint_error(const std::filesystem::path& file, const std::string& reason)
      : std::runtime_error(file.string() + ": " + reason) {}
};

/// Where a run is: what the data of the next step depends on.
struct run_position {
  std::string model = {};
  std::uint64_t seed = 0;
  std::uint64_t task = 0;      ///< Its fingerprint.
  std::string frozen = {};     ///< Which layers are not trained.
  std::string precision = {};  ///< What layers compute with; the files have floats.
  std::uint64_t batch = 0;     ///< Samples per step.
  std::uint64_t steps = 0;     ///< Done.
  std::uint64_t updates = 0;   ///< Of the optimizer.
  std::size_t layers = 0;
  std::vector<double> losses = {};  ///< One per step.
  nlohmann::json costs = {};        ///< Of the layers, with which the run was planned.

  friend bool operator==(const run_position&, const run_position&) = default;
};

/// Throws invalid_input where a run that is resumed has something else here than its checkpoint.
void require_same(const char* field, const std::string& saved, const std::string& given);

/// The folder in which a checkpoint of this many steps is written until it is whole.
[[nodiscard]] std::filesystem::path writing_folder(const std::filesystem::path& runs,
                                                   std::uint64_t steps);

/// Makes that folder, empty: what earlier processes left half written in `runs` is removed. Throws
/// checkpoint_error.
std::filesystem::path begin_checkpoint(const std::filesystem::path& runs, std::uint64_t steps);

/// Writes a layer into such a folder; ranks may write different layers at the same time. Throws
/// checkpoint_error.
void write_layer(const std::filesystem::path& folder, const layer_state& state);

/// Makes the folder the newest checkpoint, once all layers are written, and removes all but the
/// newest two. Throws checkpoint_error.
void finish_checkpoint(const std::filesystem::path& runs, const std::filesystem::path& folder,
                       const run_position& position);

/// Throws checkpoint_error where the folder has a checkpoint of more steps than those after which a
/// run starts: it would be taken for the newest of the run.
void require_none_later(const std::filesystem::path& runs, std::uint64_t steps);

/// The newest checkpoint of a folder, or the folder itself where it is one. Throws checkpoint_error
/// when there is none.
[[nodiscard]] std::filesystem::path newest_checkpoint(const std::filesystem::path& runs);

/// Throw checkpoint_error for a file that is missing or damaged.
[[nodiscard]] run_position read_position(const std::filesystem::path& folder);
[[nodiscard]] layer_state read_layer(const std::filesystem::path& folder, std::size_t layer);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

inline constexpr std::string_view writing_extension = ".writing";

inline constexpr std::array<char, 8> layer_magic = {'o', 'm', 'n', 'i', 'l', 'a', 'y', '1'};

struct layer_header {
  std::array<char, 8> magic = layer_magic;
  std::uint64_t layer = 0;
  std::uint64_t parameters = 0;
  std::uint64_t hash = 0;  // of values, first and second moments
};

[[nodiscard]] inline std::string numbered(const char* name, std::uint64_t number,
                                          std::size_t digits) {
  const std::string text = std::to_string(number);
  return name + std::string(digits - std::min(digits, text.size()), '0') + text;
}

[[nodiscard]] inline std::filesystem::path layer_file(const std::filesystem::path& folder,
                                                      std::size_t layer) {
  return folder / (numbered("layer-", layer, 4) + ".bin");
}

[[nodiscard]] inline std::uint64_t hash_of(const layer_state& state) {
  hash_stream hash;
  for (const auto* floats : {&state.values, &state.first_moments, &state.second_moments})
    hash.add(std::as_bytes(std::span(*floats)));
  return hash.value();
}

/// Makes sure that a file, or the names in a folder, outlast a failure of the machine.
inline void flush_to_disk(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY);
  const bool flushed = file >= 0 && ::fsync(file) == 0;
  const int reason = errno;
  if (file >= 0) ::close(file);
  if (!flushed) throw checkpoint_error(path, std::strerror(reason));
}

inline void write_floats(std::ofstream& file, const std::vector<float>& floats) {
  const auto bytes = std::as_bytes(std::span(floats));
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

[[nodiscard]] inline std::vector<float> read_floats(std::ifstream& file, std::size_t count) {
  std::vector<float> floats(count);
  const auto bytes = std::as_writable_bytes(std::span(floats));
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return floats;
}

/// The steps in a checkpoint's name, such as step-000150. Nothing for other names.
[[nodiscard]] inline std::optional<std::uint64_t> steps_of(const std::filesystem::path& name) {
  constexpr std::string_view start = "step-";
  const std::string text = name.filename().string();
  if (!text.starts_with(start)) return std::nullopt;
  std::uint64_t steps = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + start.size(), end, steps);
  if (error != std::errc() || rest != end) return std::nullopt;
  return steps;
}

/// The folders of whole checkpoints, the oldest first.
[[nodiscard]] inline std::vector<std::filesystem::path> all_checkpoints(
    const std::filesystem::path& runs) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(runs, error))
    if (steps_of(entry.path()) && entry.is_directory(error)) found.push_back(entry.path());
  std::ranges::sort(found, {}, steps_of);
  return found;
}

/// The folders of checkpoints that are not whole.
[[nodiscard]] inline std::vector<std::filesystem::path> half_written(
    const std::filesystem::path& runs) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(runs))
    if (entry.path().extension() == writing_extension && steps_of(entry.path().stem()))
      found.push_back(entry.path());
  return found;
}

template <typename Body>
auto naming_errors(const std::filesystem::path& path, const Body& body) {
  try {
    return body();
  } catch (const std::filesystem::filesystem_error& error) {
    throw checkpoint_error(path, error.code().message());
  } catch (const nlohmann::json::exception& error) {
    throw checkpoint_error(path, std::string("is damaged: ") + error.what());
  }
}

}  // namespace detail

inline void require_same(const char* field, const std::string& saved, const std::string& given) {
  if (saved != given)
    throw invalid_input(std::string(field) + " of the checkpoint", saved, "this run has " + given);
}

inline std::filesystem::path writing_folder(const std::filesystem::path& runs,
                                            std::uint64_t steps) {
  return runs / (detail::numbered("step-", steps, 6) + std::string(detail::writing_extension));
}

inline std::filesystem::path begin_checkpoint(const std::filesystem::path& runs,
                                              std::uint64_t steps) {
  return detail::naming_errors(runs, [&] {
    std::filesystem::create_directories(runs);
    for (const std::filesystem::path& left : detail::half_written(runs))
      std::filesystem::remove_all(left);
    std::filesystem::path folder = writing_folder(runs, steps);
    std::filesystem::create_directory(folder);
    return folder;
  });
}

inline void write_layer(const std::filesystem::path& folder, const layer_state& state) {
  const std::filesystem::path path = detail::layer_file(folder, state.layer);
  const detail::layer_header header{
      .layer = state.layer, .parameters = state.values.size(), .hash = detail::hash_of(state)};
  {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&header), sizeof(header));
    for (const auto* floats : {&state.values, &state.first_moments, &state.second_moments})
      detail::write_floats(file, *floats);
    if (!file.flush()) throw checkpoint_error(path, "cannot be written");
  }
  detail::flush_to_disk(path);
}

inline void finish_checkpoint(const std::filesystem::path& runs,
                              const std::filesystem::path& folder, const run_position& position) {
  const std::filesystem::path path = folder / "position.json";
  {
    std::ofstream file(path);
    file << nlohmann::json{{"format", "omnibal-checkpoint"},  {"version", 3},
                           {"model", position.model},         {"seed", position.seed},
                           {"task", position.task},           {"frozen", position.frozen},
                           {"precision", position.precision}, {"batch", position.batch},
                           {"steps", position.steps},         {"updates", position.updates},
                           {"layers", position.layers},       {"losses", position.losses},
                           {"costs", position.costs}}
                .dump(1)
         << '\n';
    if (!file.flush()) throw checkpoint_error(path, "cannot be written");
  }
  detail::flush_to_disk(path);
  detail::flush_to_disk(folder);
  detail::naming_errors(runs, [&] {
    const auto final_folder = runs / detail::numbered("step-", position.steps, 6);
    std::filesystem::remove_all(final_folder);
    std::filesystem::rename(folder, final_folder);
    detail::flush_to_disk(runs);
    const auto all = detail::all_checkpoints(runs);
    for (std::size_t i = 0; i + 2 < all.size(); ++i) std::filesystem::remove_all(all[i]);
  });
}

inline void require_none_later(const std::filesystem::path& runs, std::uint64_t steps) {
  const auto all = detail::all_checkpoints(runs);
  if (all.empty() || detail::steps_of(all.back()) <= steps) return;
  throw checkpoint_error(all.back(), "is there already, and this run starts after " +
                                         std::to_string(steps) +
                                         " steps: go on from it with --resume, or give "
                                         "--checkpoint another folder");
}

inline std::filesystem::path newest_checkpoint(const std::filesystem::path& runs) {
  std::error_code error;
  if (std::filesystem::exists(runs / "position.json", error)) return runs;
  const auto all = detail::all_checkpoints(runs);
  if (!all.empty()) return all.back();
  const std::filesystem::directory_iterator readable(runs, error);
  throw checkpoint_error(runs, "has no checkpoint" + (error ? ": " + error.message() : ""));
}

inline run_position read_position(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "position.json";
  std::ifstream file(path);
  if (!file) throw checkpoint_error(path, "cannot be read");
  return detail::naming_errors(path, [&] {
    const auto json = nlohmann::json::parse(file);
    if (json.at("format") != "omnibal-checkpoint" || json.at("version") != 3)
      throw checkpoint_error(path, "is no checkpoint of version 3");
    if (json.at("losses").size() != json.at("steps"))
      throw checkpoint_error(path, "is damaged: it has not one loss per step");
    return run_position{.model = json.at("model"),
                        .seed = json.at("seed"),
                        .task = json.at("task"),
                        .frozen = json.at("frozen"),
                        .precision = json.at("precision"),
                        .batch = json.at("batch"),
                        .steps = json.at("steps"),
                        .updates = json.at("updates"),
                        .layers = json.at("layers"),
                        .losses = json.at("losses"),
                        .costs = json.at("costs")};
  });
}

inline layer_state read_layer(const std::filesystem::path& folder, std::size_t layer) {
  const std::filesystem::path path = detail::layer_file(folder, layer);
  std::ifstream file(path, std::ios::binary);
  if (!file) throw checkpoint_error(path, "cannot be read");
  detail::layer_header header;
  file.read(reinterpret_cast<char*>(&header), sizeof(header));
  const auto size = detail::naming_errors(path, [&] { return std::filesystem::file_size(path); });
  // The size first: a damaged header must not ask for memory.
  if (!file || header.magic != detail::layer_magic || header.layer != layer ||
      header.parameters > size || size != sizeof(header) + 3 * sizeof(float) * header.parameters)
    throw checkpoint_error(path, "is damaged or is not layer " + std::to_string(layer));
  layer_state state{.layer = layer};
  for (auto* floats : {&state.values, &state.first_moments, &state.second_moments})
    *floats = detail::read_floats(file, header.parameters);
  if (!file || detail::hash_of(state) != header.hash)
    throw checkpoint_error(path, "is damaged: its contents have another hash");
  return state;
}

}  // namespace omnibal::trainer
