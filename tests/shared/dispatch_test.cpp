// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <vector>

#include "catch.hpp"
#include "dispatch/promised_ratios.hpp"
#include "dispatch/randomness.hpp"
#include "rebalance/rebalance_peer.hpp"
#include "shared/published_tables.hpp"

using namespace omnibal;
using namespace omnibal::test;

namespace {

/// 768 samples of the published tables.
two_sources small_table() {
  constexpr std::size_t stride = 40;
  const auto thin = [](const length_table& all) {
    length_table some;
    for (std::size_t k = 0; k < all.size(); k += stride) some.push_back(all[k]);
    return some;
  };
  two_sources table{.samples = thin(need_tables({"ai2d"}))};
  table.first_source = table.samples.size();
  const length_table second = thin(need_tables({"chartqa"}));
  table.samples.insert(table.samples.end(), second.begin(), second.end());
  return table;
}

}  // namespace

TEST_CASE("dispatch_packs keeps the ranks of published tables within the promised ratios") {
  check_promise(need_tables({"ai2d", "chartqa"}),
                GENERATE(promise{{18, 6016}, 64, 1.002}, promise{{9, 4096}, 64, 1.01},
                         promise{{18, 6016}, 8, 1.002}, promise{{9, 4096}, 8, 1.01}));
}

TEST_CASE("packs of published tables assigned to steps are a random draw over 1,000 seeds") {
  check_assigned_packs_are_a_random_draw(small_table());
}

TEST_CASE("packs of published tables in the packer's own order are a random draw") {
  check_packed_order_is_a_random_draw(small_table());
}

TEST_CASE("the tests of randomness find biased arrangements of published tables") {
  check_bias_is_found(small_table());
}

TEST_CASE("each epoch packs and assigns published tables afresh") {
  check_epochs_differ(small_table());
}

TEST_CASE("rebalance costs no more than the peer on steps of published tables") {
  check_against_peer(need_tables({"ai2d", "chartqa"}), GENERATE(8U, 64U));
}

TEST_CASE("report: randomness by capacity", "[.report]") {
  const two_sources table = small_table();
  for (std::int64_t images = 9; images <= 20; ++images)
    WARN(images
         << " images: "
         << describe(randomness_meter(table, {images, token_capacity(images)}).measure(assigned)));
}
