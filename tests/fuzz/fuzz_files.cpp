// SPDX-License-Identifier: Apache-2.0
// Whatever bytes a file of JSON holds (a problem, a model, a device, a profile or a calibration, a
// shape, packs, an execution plan with measured durations), its reader takes them or refuses them
// by an error of its own. The first byte says which reader; mutate_files.py --seeds writes files
// that they take.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>

#include "errors.hpp"
#include "files/execution_file.hpp"
#include "files/files.hpp"
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
  explicit memory_file(std::string_view bytes) : file_(::memfd_create("input", 0)) {
    if (file_ < 0 || ::write(file_, bytes.data(), bytes.size()) != std::ssize(bytes)) std::abort();
  }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() { ::close(file_); }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

length_tables some_tables(bool keyed) {
  length_tables tables{.resources = {"images", "tokens"},
                       .samples = std::vector<loads<2>>{{1, 2}, {3, 4}, {5, 6}, {7, 8}},
                       .inputs = {{"a.json", 4, std::string(64, '0')}}};
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

/// The file with the hash of the plan that it holds, behind which no changed bytes get otherwise.
std::string with_hash(std::string_view file) {
  constexpr std::string_view hash_key = "\"sha256\":\"";
  constexpr std::string_view plan_key = "\"plan\":";
  constexpr std::size_t digits = 64;
  std::string sealed(file);
  const std::size_t hash = sealed.find(hash_key);
  const std::size_t plan = sealed.find(plan_key);
  const std::size_t end = sealed.rfind('}');
  if (hash > plan || plan == std::string::npos || end == std::string::npos ||
      hash + hash_key.size() + digits > plan || plan + plan_key.size() > end)
    return sealed;
  const std::size_t begin = plan + plan_key.size();
  return sealed.replace(hash + hash_key.size(), digits, sha256(file.substr(begin, end - begin)));
}

/// An execution plan, and after a zero byte the measured durations of its items.
void read_execution(std::string_view bytes) {
  const std::size_t end = bytes.find('\0');
  const memory_file execution(with_hash(bytes.substr(0, end)));
  const execution_plan plan = read_execution_file("--execution", execution.path());
  const memory_file measured(end == std::string_view::npos ? "" : bytes.substr(end + 1));
  (void)read_measured_file(measured.path(), plan);
}

void read(unsigned kind, std::string_view bytes) {
  if (kind == 8) return read_execution(bytes);
  const memory_file file(bytes);
  const std::string path = file.path();
  switch (kind) {
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
  try {
    read(data[0] % 9U, {reinterpret_cast<const char*>(data + 1), size - 1});
  } catch (const invalid_input&) {
  } catch (const usage_error&) {
  }
  return 0;
}
