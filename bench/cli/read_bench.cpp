// SPDX-License-Identifier: Apache-2.0
// Reading a length table of 1.2 million samples: the whole way from the file, then each part of it,
// beside what no reader can do without (the bytes copied, the file read, the bytes hashed) and
// simdjson's own passes over the same bytes.
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <simdjson.h>
#include <unistd.h>

#include <omnibal/core/random.hpp>

#include "files/files.hpp"
#include "tables/table_formats.hpp"
#include "tables/tables.hpp"

using namespace omnibal;
using namespace omnibal::cli;

namespace {

/// A compact list as programs write it, about 33 bytes a sample.
std::string make_table() {
  random_stream random(1);
  std::string text = "[";
  for (int i = 0; i < 1'200'000; ++i) {
    const std::uint32_t images = 1 + uniform_below(random, 5);
    const std::uint32_t tokens = 1000 + uniform_below(random, 1500);
    text += "{\"vit_num\":" + std::to_string(images);
    text += ",\"token_num\":" + std::to_string(tokens) + "},";
  }
  text.back() = ']';
  return text;
}

/// The table as a file, as long as the program runs.
class table_file {
 public:
  table_file() { write_file(path_, make_table()); }
  table_file(const table_file&) = delete;
  table_file& operator=(const table_file&) = delete;
  ~table_file() { std::filesystem::remove(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() /
                       ("omnibal-read-bench-" + std::to_string(::getpid()) + ".json"))
                          .string();
};

const std::string& table_path() {
  static const table_file file;
  return file.path();
}

const file_bytes& table_in_memory() {
  static const file_bytes bytes("bench", table_path());
  return bytes;
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(table_in_memory().view().size()));
}

void read_length_tables(benchmark::State& state) {
  const table_options options{.files = {table_path()}};
  for (auto _ : state) benchmark::DoNotOptimize(read_length_tables(options));
  count_bytes(state);
}

void part_read_file(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(file_bytes("bench", table_path()));
  count_bytes(state);
}

void part_hash(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(sha256(table_in_memory().view()));
  count_bytes(state);
}

/// One of the readers of JSON, from memory.
template <typename Reader>
void part_parse(benchmark::State& state, const Reader& reader) {
  const table_options options;
  const table_text table{"bench", table_in_memory().view(), options.resources};
  for (auto _ : state) {
    load_table<2> samples;
    reader(table, samples);
    if (samples.size() != 1'200'000) state.SkipWithError("not all samples were read");
    benchmark::DoNotOptimize(samples.data());
  }
  count_bytes(state);
}

/// The integers of one field, as keys.
void part_parse_keys(benchmark::State& state) {
  const table_options options;
  const table_text table{"bench", table_in_memory().view(), options.resources};
  for (auto _ : state) {
    std::vector<std::string> keys;
    append_json_keys(json_kind::list, table, "token_num", keys);
    benchmark::DoNotOptimize(keys.data());
  }
  count_bytes(state);
}

/// What a table that is refused takes beside: here one that is JSON throughout.
void part_find_fault(benchmark::State& state) {
  const table_options options;
  const table_text table{"bench", table_in_memory().view(), options.resources};
  for (auto _ : state) expect_json(json_kind::list, table, table.bytes.size());
  count_bytes(state);
}

void floor_copy(benchmark::State& state) {
  const std::string_view bytes = table_in_memory().view();
  const auto copy = std::make_unique<char[]>(bytes.size());
  for (auto _ : state) {
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

void floor_simdjson_minify(benchmark::State& state) {
  const std::string_view bytes = table_in_memory().view();
  const auto copy = std::make_unique<char[]>(bytes.size() + file_bytes::padding);
  for (auto _ : state) {
    std::size_t size = 0;
    if (simdjson::minify(bytes.data(), bytes.size(), copy.get(), size) != simdjson::SUCCESS)
      state.SkipWithError("simdjson refused the table");
  }
  count_bytes(state);
}

void rival_simdjson_dom(benchmark::State& state) {
  const std::string_view bytes = table_in_memory().view();
  for (auto _ : state) {
    simdjson::dom::parser parser;
    load_table<2> samples;
    for (const simdjson::dom::element record : parser.parse(bytes.data(), bytes.size(), false))
      samples.push_back({std::int64_t{record["vit_num"]}, std::int64_t{record["token_num"]}});
    benchmark::DoNotOptimize(samples.data());
  }
  count_bytes(state);
}

/// Time of all threads together, so that hashing beside reading hides nothing.
void measure(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime();
}

BENCHMARK(read_length_tables)->Apply(measure);
BENCHMARK(part_read_file)->Apply(measure);
BENCHMARK(part_hash)->Apply(measure);
BENCHMARK_CAPTURE(part_parse, uniform, [](const table_text& table, load_table<2>& samples) {
  (void)append_uniform_json(json_kind::list, table, samples);
})->Apply(measure);
BENCHMARK_CAPTURE(part_parse, any_layout, [](const table_text& table, load_table<2>& samples) {
  append_any_json(json_kind::list, table, samples);
})->Apply(measure);
BENCHMARK(part_parse_keys)->Apply(measure);
BENCHMARK(part_find_fault)->Apply(measure);
BENCHMARK(rival_simdjson_dom)->Apply(measure);
BENCHMARK(floor_simdjson_minify)->Apply(measure);
BENCHMARK(floor_copy)->Apply(measure);

}  // namespace
