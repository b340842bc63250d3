// SPDX-License-Identifier: Apache-2.0
// The streaming packer on 1.2 M samples in random order, by size of its buffer; beside it the
// offline packer, which knows all samples beforehand, and another streaming packer: best fit into
// 20 open packs. The counter over_offline is packs / packs of the offline packer, buffered the mean
// number of buffered samples. Tables: rows of the two published tables where they are there
// (OMNIBAL_SHARED), else generated ones of like shape; the same with as many rows of text only; and
// text alone.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <omnibal/core/random.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/streaming.hpp>

using namespace omnibal;

namespace {

constexpr std::size_t sample_count = 1'200'000;

using table = std::vector<loads<2>>;

/// Appends the rows of a published table, a JSON list of objects with vit_num and token_num.
void append_published(const std::string& name, table& rows) {
  const char* const folder = std::getenv("OMNIBAL_SHARED");
  if (folder == nullptr) return;
  std::ifstream file(std::string(folder) + "/data/lengths/" + name + ".json");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto number_after = [&](std::size_t from, const std::string& key) {
    const std::size_t begin = text.find_first_of("0123456789", text.find(key, from) + key.size());
    std::int64_t number = 0;
    std::from_chars(text.data() + begin, text.data() + text.size(), number);
    return number;
  };
  for (std::size_t at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1))
    rows.push_back({number_after(at, "\"vit_num\":"), number_after(at, "\"token_num\":")});
}

table source_rows() {
  table rows;
  append_published("ai2d", rows);
  append_published("chartqa", rows);
  random_stream random(1);
  while (rows.size() < 30'000) {
    const std::uint32_t draw = uniform_below(random, 100);
    const std::int64_t tiles = draw < 21 ? 1 : draw < 36 ? 3 : draw < 38 ? 4 : 5;
    rows.push_back({tiles, 256 * tiles + 40 + uniform_below(random, 120)});
  }
  return rows;
}

/// Log-normal with median 350 and sigma 1, from 20 to 4000: Box and Muller, 1958.
std::int64_t text_tokens(random_stream& random) {
  const auto uniform = [&] { return (static_cast<double>(random()) + 0.5) / 4294967296.0; };
  const double radius = std::sqrt(-2 * std::log(uniform()));
  const double normal = radius * std::cos(6.283185307179586 * uniform());
  return std::clamp<std::int64_t>(std::llround(350 * std::exp(normal)), 20, 4000);
}

/// Rows drawn from the source; a share of them, in percent, text only.
table make_table(std::uint32_t text_percent) {
  const table source = source_rows();
  random_stream random(2);
  table rows(sample_count);
  for (auto& row : rows)
    if (uniform_below(random, 100) < text_percent)
      row = {0, text_tokens(random)};
    else
      row = source[uniform_below(random, static_cast<std::uint32_t>(source.size()))];
  return rows;
}

const table& table_with_text(std::int64_t percent) {
  static const std::map<std::int64_t, table> tables{
      {0, make_table(0)}, {50, make_table(50)}, {100, make_table(100)}};
  return tables.at(percent);
}

loads<2> capacity_for(std::int64_t images) {
  return {images, images <= 12 ? 4096 : 4096 + 320 * (images - 12)};
}

std::size_t offline_packs(std::int64_t percent, std::int64_t images) {
  static std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> known;
  std::size_t& packs = known[{percent, images}];
  if (packs == 0)
    packs =
        pack_balanced(table_with_text(percent), {.capacity = capacity_for(images)}).packs.size();
  return packs;
}

void report(benchmark::State& state, std::size_t packs) {
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(sample_count));
  state.counters["packs"] = static_cast<double>(packs);
  state.counters["over_offline"] =
      static_cast<double>(packs) /
      static_cast<double>(offline_packs(state.range(0), state.range(1)));
}

void offline(benchmark::State& state) {
  const table& rows = table_with_text(state.range(0));
  std::size_t packs = 0;
  for (auto _ : state)
    packs = pack_balanced(rows, {.capacity = capacity_for(state.range(1))}).packs.size();
  report(state, packs);
}

void stream(benchmark::State& state, const packing_options<2>& options,
            const packers::streaming& method) {
  const table& rows = table_with_text(state.range(0));
  std::uint64_t packs = 0;
  std::uint64_t oldest = 0;
  std::uint64_t buffered = 0;
  for (auto _ : state) {
    streaming_packer<2> packer(options, method);
    buffered = 0;
    for (std::uint64_t id = 0; id < rows.size(); ++id) {
      packer.push(id, rows[id]);
      oldest = std::max(oldest, packer.oldest_age());
      buffered += packer.buffered();
      while (auto pack = packer.pop()) benchmark::DoNotOptimize(pack->data());
    }
    packer.flush();
    while (auto pack = packer.pop()) benchmark::DoNotOptimize(pack->data());
    packs = packer.packs();
  }
  report(state, packs);
  state.counters["age_over_buffer"] =
      static_cast<double>(oldest) / static_cast<double>(method.buffer);
  state.counters["buffered"] = static_cast<double>(buffered) / static_cast<double>(rows.size());
}

void streaming(benchmark::State& state) {
  stream(state, {.capacity = capacity_for(state.range(1))},
         {.buffer = static_cast<std::uint32_t>(state.range(2))});
}

void streaming_good_enough(benchmark::State& state) {
  stream(state, {.capacity = capacity_for(state.range(1))},
         {.good_enough = static_cast<std::uint32_t>(state.range(2))});
}

/// Best fit: a sample goes into the open pack that it leaves least slack in, or into a new one;
/// with more than 20 open, the fullest leaves.
void best_fit_20_open_packs(benchmark::State& state) {
  struct open_pack {
    loads<2> sum = {};
    std::vector<std::uint64_t> ids = {};
  };
  const table& rows = table_with_text(state.range(0));
  const loads<2> capacity = capacity_for(state.range(1));
  const auto fill = [&](const loads<2>& sum) {
    return static_cast<double>(sum[0]) / static_cast<double>(capacity[0]) +
           static_cast<double>(sum[1]) / static_cast<double>(capacity[1]);
  };
  const auto fuller = [&](const open_pack& a, const open_pack& b) {
    return fill(a.sum) < fill(b.sum);
  };
  std::size_t packs = 0;
  for (auto _ : state) {
    std::vector<open_pack> open;
    packs = 0;
    for (std::uint64_t id = 0; id < rows.size(); ++id) {
      open_pack* best = nullptr;
      for (open_pack& pack : open)
        if (pack.sum[0] + rows[id][0] <= capacity[0] && pack.sum[1] + rows[id][1] <= capacity[1] &&
            (best == nullptr || fuller(*best, pack)))
          best = &pack;
      if (best == nullptr) best = &open.emplace_back();
      best->sum[0] += rows[id][0];
      best->sum[1] += rows[id][1];
      best->ids.push_back(id);
      if (open.size() <= 20) continue;
      const auto leaves = std::ranges::max_element(open, fuller);
      benchmark::DoNotOptimize(leaves->ids.data());
      std::swap(*leaves, open.back());
      open.pop_back();
      ++packs;
    }
    packs += open.size();
  }
  report(state, packs);
}

}  // namespace

BENCHMARK(offline)
    ->ArgNames({"text", "images"})
    ->ArgsProduct({{0, 50, 100}, {10, 18}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(best_fit_20_open_packs)
    ->ArgNames({"text", "images"})
    ->ArgsProduct({{0, 50, 100}, {10, 18}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(streaming)
    ->ArgNames({"text", "images", "buffer"})
    ->ArgsProduct({{0, 50, 100}, {10, 18}, {10, 30, 100, 300, 1000, 3000}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(streaming_good_enough)
    ->ArgNames({"text", "images", "thousandths"})
    ->ArgsProduct({{0, 50, 100}, {10, 18}, {950, 990, 1000}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(streaming)
    ->Name("streaming_all_capacities")
    ->ArgNames({"text", "images", "buffer"})
    ->ArgsProduct({{0}, benchmark::CreateDenseRange(9, 20, 1), {1000}})
    ->Unit(benchmark::kMillisecond);
