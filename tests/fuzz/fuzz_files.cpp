// SPDX-License-Identifier: Apache-2.0
// Whatever bytes a file of JSON holds (a problem, a model, a device, a profile or a calibration, a
// shape, packs), its reader takes them or refuses them by an error of its own. The first byte says
// which reader.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include <omnibal/core/error.hpp>

#include "errors.hpp"
#include "files/model_file.hpp"
#include "files/packs_file.hpp"
#include "files/problem_file.hpp"
#include "files/profile_file.hpp"
#include "files/shape.hpp"

using namespace omnibal;
using namespace omnibal::cli;

namespace {

/// A file in memory, since readers take a path.
class memory_file {
 public:
  memory_file(const std::uint8_t* data, std::size_t size) : file_(::memfd_create("input", 0)) {
    if (file_ < 0 || ::write(file_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() { ::close(file_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

length_tables some_tables(bool keyed) {
  length_tables tables{.inputs = {{"a.json", 4, std::string(64, '0')}},
                       .resources = {"images", "tokens"},
                       .samples = load_table<2>{{1, 2}, {3, 4}, {5, 6}, {7, 8}}};
  if (keyed) tables.keys = {"a", "b", "c", "d"};
  return tables;
}

void read_problem(const std::string& path) {
  const problem_file file(path);
  if (file.has("scenarios")) (void)file.scenarios();
  if (file.has("budget")) (void)file.recompute();
  if (file.has("device_order")) (void)file.device_order();
  (void)file.pipeline();
}

void read(unsigned kind, const std::string& path) {
  switch (kind % 8) {
    case 0: return (void)read_packs_file(path, some_tables(false));
    case 1: return (void)read_packs_file(path, some_tables(true));
    case 2: return (void)find_model(path);
    case 3: return (void)find_device(path);
    case 4: return (void)read_profile(path);
    case 5: return (void)read_shape(path);
    case 6: return (void)problem_file(path).plan();
    default: return read_problem(path);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const memory_file file(data + 1, size - 1);
  try {
    read(data[0], file.path());
  } catch (const invalid_input&) {
  } catch (const usage_error&) {
  }
  return 0;
}
