// SPDX-License-Identifier: Apache-2.0
// Whatever samples and options are, packers and dispatch keep their promises or refuse the input:
// no sample twice or lost, no capacity exceeded, no bound above what was reached, every pack
// assigned once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/dispatch/dispatch.hpp>
#include <omnibal/packing/balanced.hpp>
#include <omnibal/packing/isf.hpp>
#include <omnibal/packing/metrics.hpp>
#include <omnibal/packing/streaming.hpp>

using namespace omnibal;

namespace {

/// Takes numbers out of the input, zeros beyond its end.
class byte_source {
 public:
  byte_source(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

  /// So many bytes as one number, which is negative where all eight are taken and say so.
  std::int64_t take(std::size_t bytes) {
    std::uint64_t number = 0;
    for (std::size_t k = 0; k < bytes && !rest_.empty(); ++k, rest_ = rest_.subspan(1))
      number |= std::uint64_t{rest_[0]} << (8 * k);
    return static_cast<std::int64_t>(number);
  }

 private:
  std::span<const std::uint8_t> rest_;
};

void require(bool promise) {
  if (!promise) std::abort();
}

template <std::size_t Resources>
struct packing_case {
  std::vector<loads<Resources>> samples;
  loads<Resources> capacity;
  oversize_policy oversize;
};

template <std::size_t Resources>
packing_case<Resources> make_case(byte_source& source) {
  packing_case<Resources> made;
  const auto width = static_cast<std::size_t>(1 + source.take(1) % 8);
  made.oversize = static_cast<oversize_policy>(source.take(1) % 3);
  for (std::int64_t& capacity : made.capacity) capacity = source.take(width);
  while (!source.empty() && made.samples.size() < 4096)
    for (std::int64_t& load : made.samples.emplace_back()) load = source.take(width);
  return made;
}

template <std::size_t Resources>
void check_packs(const packing_case<Resources>& given, const packing_result& result) {
  std::vector<std::uint8_t> times(given.samples.size());
  for (const std::uint32_t id : result.packs.indices()) require(id < times.size() && !times[id]++);
  for (const std::uint32_t id : result.oversize)
    require(times.at(id)++ == (given.oversize == oversize_policy::own_pack ? 1 : 0));
  require(std::ranges::all_of(times, [](std::uint8_t seen) { return seen > 0; }));
  require(result.objective == result.packs.size() && result.bound <= result.objective);
  const std::size_t own = given.oversize == oversize_policy::own_pack ? result.oversize.size() : 0;
  for (std::size_t k = 0; k + own < result.packs.size(); ++k) {
    require(!result.packs[k].empty());
    for (std::size_t r = 0; r < Resources; ++r) {
      wide_integer sum = 0;
      for (const std::uint32_t id : result.packs[k]) sum += given.samples[id][r];
      require(sum <= given.capacity[r]);
    }
  }
}

void check_dispatch(const packing_result& result, byte_source source) {
  const std::size_t packs = result.packs.size();
  const dispatch_options options{.ranks = static_cast<std::uint32_t>(source.take(1)),
                                 .microbatches = static_cast<std::uint32_t>(source.take(1)),
                                 .window = static_cast<std::uint32_t>(source.take(1)),
                                 .largest_first = source.take(1) % 2 == 1};
  const auto plan = dispatch_packs(
      packs, [&](std::size_t pack) { return result.packs[pack].size(); }, options);
  std::vector<std::uint8_t> times(packs);
  for (const std::uint32_t pack : plan.groups.indices()) require(!times.at(pack)++);
  require(std::ranges::all_of(times, [](std::uint8_t seen) { return seen == 1; }));
}

template <std::size_t Resources>
void stream(const packing_case<Resources>& given) {
  streaming_packer<Resources> packer({.capacity = given.capacity, .oversize = given.oversize},
                                     {.buffer = 16});
  std::size_t packed = 0;
  const auto take_packs = [&] {
    while (const auto pack = packer.pop()) packed += pack->size();
  };
  for (std::size_t id = 0; id < given.samples.size(); ++id) {
    packer.push(id, given.samples[id]);
    take_packs();
  }
  packer.flush();
  take_packs();
  const std::size_t skipped =
      given.oversize == oversize_policy::skip ? packer.oversize().size() : 0;
  require(packed + skipped == given.samples.size());
}

template <typename Work>
void survive(const Work& work) {
  try {
    work();
  } catch (const invalid_input&) {
  }
}

template <std::size_t Resources>
void try_all(byte_source source) {
  const byte_source options = source;
  const auto given = make_case<Resources>(source);
  survive([&] {
    const auto result =
        pack_balanced(given.samples, {.capacity = given.capacity, .oversize = given.oversize});
    check_packs(given, result);
    check_dispatch(result, options);
  });
  survive([&] {
    check_packs(given,
                pack_isf(given.samples, {.capacity = given.capacity, .oversize = given.oversize},
                         {.iterations = 3}));
  });
  survive([&] { stream(given); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  byte_source source(data, size);
  switch (source.take(1) % 3) {
    case 0: try_all<1>(source); break;
    case 1: try_all<2>(source); break;
    default: try_all<3>(source); break;
  }
  return 0;
}
