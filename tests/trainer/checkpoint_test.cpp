// SPDX-License-Identifier: Apache-2.0
#include "checkpoint.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "../catch.hpp"

using namespace omnibal::trainer;
namespace fs = std::filesystem;

namespace {

/// A new folder that is removed at the end.
class scratch_folder {
 public:
  scratch_folder()
      : path_(fs::temp_directory_path() /
              ("omnibal_checkpoint_test_" + std::to_string(::getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  scratch_folder(scratch_folder&&) = delete;
  ~scratch_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

layer_state state_of(std::size_t layer) {
  const auto one = static_cast<float>(layer);
  return {.layer = layer,
          .values = std::vector<float>(layer + 1, one),
          .first_moments = std::vector<float>(layer + 1, one + 0.25F),
          .second_moments = std::vector<float>(layer + 1, one + 0.5F)};
}

run_position position_at(std::uint64_t steps) {
  return {.model = "tiny",
          .seed = 3,
          .task = (std::uint64_t{1} << 63U) + 5,
          .frozen = "vision",
          .precision = "bf16",
          .batch = 32,
          .steps = steps,
          .updates = steps,
          .layers = 3,
          .losses = std::vector<double>(steps, 1.0 / 3),
          .costs = {{"layers", {1, 2, 3}}}};
}

void save(const fs::path& runs, std::uint64_t steps) {
  const fs::path folder = begin_checkpoint(runs, steps);
  for (std::size_t layer = 0; layer < 3; ++layer) write_layer(folder, state_of(layer));
  finish_checkpoint(runs, folder, position_at(steps));
}

/// Flips a bit of a byte of a file.
void damage(const fs::path& path, std::streamoff place, int bits = 1) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(place);
  const int byte = file.get();
  file.seekp(place);
  file.put(static_cast<char>(byte ^ bits));
}

using Catch::Matchers::ContainsSubstring;

}  // namespace

TEST_CASE("what is saved is read again, to the bit") {
  const scratch_folder runs;
  save(runs.path(), 7);
  const fs::path newest = newest_checkpoint(runs.path());
  CHECK(newest.filename() == "step-000007");
  CHECK(read_position(newest) == position_at(7));
  for (std::size_t layer = 0; layer < 3; ++layer)
    CHECK(read_layer(newest, layer) == state_of(layer));
}

TEST_CASE("the newest two checkpoints stay, and the same step may be saved again") {
  const scratch_folder runs;
  for (const std::uint64_t steps : {5U, 10U, 15U, 15U}) save(runs.path(), steps);
  CHECK(newest_checkpoint(runs.path()).filename() == "step-000015");
  CHECK(fs::exists(runs.path() / "step-000010"));
  CHECK_FALSE(fs::exists(runs.path() / "step-000005"));
}

TEST_CASE("checkpoints are in the order of their steps, and other names are left alone") {
  const scratch_folder runs;
  for (const char* name : {"step-notes", "step-000002 (copy)", "step-"})
    fs::create_directory(runs.path() / name);
  std::ofstream(runs.path() / "step-2000000") << "a file";
  for (const std::uint64_t steps : {999'998U, 999'999U, 1'000'000U}) save(runs.path(), steps);
  CHECK(newest_checkpoint(runs.path()).filename() == "step-1000000");
  CHECK(fs::exists(runs.path() / "step-999999"));
  CHECK_FALSE(fs::exists(runs.path() / "step-999998"));
  for (const char* name : {"step-notes", "step-000002 (copy)", "step-", "step-2000000"})
    CHECK(fs::exists(runs.path() / name));
}

TEST_CASE("a run does not start in a folder that has later checkpoints") {
  const scratch_folder runs;
  require_none_later(runs.path() / "missing", 0);
  require_none_later(runs.path(), 0);
  save(runs.path(), 5);
  require_none_later(runs.path(), 5);
  CHECK_THROWS_WITH(require_none_later(runs.path(), 4),
                    ContainsSubstring("step-000005: is there already, and this run starts after 4 "
                                      "steps: go on from it with --resume"));
}

TEST_CASE("what was written by half is not a checkpoint, and the next one removes it") {
  const scratch_folder runs;
  save(runs.path(), 5);
  const fs::path half = begin_checkpoint(runs.path(), 10);
  write_layer(half, state_of(0));
  CHECK(newest_checkpoint(runs.path()).filename() == "step-000005");
  CHECK(begin_checkpoint(runs.path(), 10) == half);
  CHECK(fs::is_empty(half));
  // Also of other steps, which the run may not save again.
  save(runs.path(), 12);
  CHECK_FALSE(fs::exists(half));
}

TEST_CASE("missing and damaged files are named") {
  const scratch_folder runs;
  CHECK_THROWS_WITH(newest_checkpoint(runs.path()), runs.path().string() + ": has no checkpoint");
  CHECK_THROWS_WITH(newest_checkpoint(runs.path() / "none"),
                    ContainsSubstring("none: has no checkpoint: No such file or directory"));
  save(runs.path(), 5);
  const fs::path newest = newest_checkpoint(runs.path());
  CHECK_THROWS_WITH(read_layer(newest, 3), ContainsSubstring("layer-0003.bin: cannot be read"));

  // Header: 8 bytes of magic, layer, parameters, hash.
  for (const std::streamoff place : {0, 8, 16, 24, 32, 40}) {
    damage(newest / "layer-0002.bin", place);
    CHECK_THROWS_WITH(read_layer(newest, 2), ContainsSubstring("layer-0002.bin: is damaged"));
    damage(newest / "layer-0002.bin", place);
  }
  // 2⁶² more parameters take as many bytes, modulo 2⁶⁴.
  damage(newest / "layer-0002.bin", 23, 0x40);
  CHECK_THROWS_WITH(read_layer(newest, 2), ContainsSubstring("layer-0002.bin: is damaged"));
  damage(newest / "layer-0002.bin", 23, 0x40);
  CHECK(read_layer(newest, 2) == state_of(2));
  fs::resize_file(newest / "layer-0002.bin", 50);
  CHECK_THROWS_AS(read_layer(newest, 2), checkpoint_error);
  fs::resize_file(newest / "layer-0002.bin", 3);
  CHECK_THROWS_AS(read_layer(newest, 2), checkpoint_error);

  fs::resize_file(newest / "position.json", 20);
  CHECK_THROWS_WITH(read_position(newest), ContainsSubstring("position.json: is damaged"));
  fs::remove(newest / "position.json");
  CHECK_THROWS_WITH(read_position(newest), ContainsSubstring("position.json: cannot be read"));
  std::ofstream(newest / "position.json") << R"({"format": "other", "version": 1})";
  CHECK_THROWS_WITH(read_position(newest), ContainsSubstring("is no checkpoint"));
}

TEST_CASE("a folder that cannot be made is named") {
  const scratch_folder runs;
  std::ofstream(runs.path() / "file") << "text";
  CHECK_THROWS_WITH(begin_checkpoint(runs.path() / "file", 1), ContainsSubstring("file: "));
  CHECK_THROWS_WITH(write_layer(runs.path() / "missing", state_of(0)),
                    ContainsSubstring("layer-0000.bin: cannot be written"));
}
