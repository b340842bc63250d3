// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/execution_item.hpp>
#include <omnibal/run/execution_program.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline constexpr std::string_view lane_digits = "0123456789abcdefghijklmnopqrstuvwxyz";

/// Finds the lane of each item of a device.
class lane_finder {
 public:
  explicit lane_finder(std::span<const execution_item> items) {
    for (const execution_item& item : items)
      if (is_message(item.kind) && !is_send(item.kind)) peers_.push_back(item.peer);
    std::ranges::sort(peers_);
    peers_.erase(std::unique(peers_.begin(), peers_.end()), peers_.end());
  }

  [[nodiscard]] std::size_t lanes() const noexcept {
    return std::min(first_of_peers + peers_.size(), lane_digits.size());
  }
  /// Peers beyond the last digit share its lane.
  [[nodiscard]] std::size_t of(const execution_item& item) const {
    if (!is_message(item.kind)) return 0;
    if (is_send(item.kind)) return 1;
    const auto peer = std::ranges::lower_bound(peers_, item.peer) - peers_.begin();
    return std::min(first_of_peers + static_cast<std::size_t>(peer), lane_digits.size() - 1);
  }

 private:
  static constexpr std::size_t first_of_peers = 2;
  std::vector<std::uint32_t> peers_;
};

}  // namespace detail

OMNIBAL_INLINE split_items split_into_lanes(std::uint32_t microbatches,
                                            std::span<const std::vector<execution_item>> devices) {
  split_items split{.lanes = {.microbatches = microbatches}};
  for (const std::vector<execution_item>& items : devices) {
    const detail::lane_finder finder(items);
    std::vector<std::vector<execution_item>> lanes(finder.lanes());
    std::string turns;
    turns.reserve(items.size());
    for (const execution_item& item : items) {
      const std::size_t lane = finder.of(item);
      lanes[lane].push_back(item);
      turns.push_back(detail::lane_digits[lane]);
    }
    split.lanes.devices.push_back(std::move(lanes));
    split.turns.push_back(std::move(turns));
  }
  return split;
}

OMNIBAL_INLINE std::vector<execution_item> items_of(const execution_lanes& lanes,
                                                    std::string_view turns, std::size_t device) {
  const auto& lists = lanes.devices[device];
  std::vector<std::size_t> next(lists.size(), 0);
  std::vector<execution_item> items;
  items.reserve(turns.size());
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const std::size_t lane = detail::lane_digits.find(turns[i]);
    if (lane >= lists.size())
      throw invalid_input("turns", i, std::string(1, turns[i]), "is no lane of the device");
    if (next[lane] == lists[lane].size())
      throw invalid_input("turns", i, std::string(1, turns[i]),
                          "takes more items than the lane has");
    items.push_back(lists[lane][next[lane]++]);
  }
  for (std::size_t lane = 0; lane < lists.size(); ++lane)
    if (next[lane] < lists[lane].size())
      throw invalid_input("turns", turns.size(), std::string("the end"),
                          to_string(lists[lane][next[lane]]) + " is missing");
  return items;
}

}  // namespace omnibal::inline v0
