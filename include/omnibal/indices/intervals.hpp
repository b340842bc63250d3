// SPDX-License-Identifier: Apache-2.0
/// @file
/// Attention masks of packed rows as one interval per key: key k is seen by the queries first ≤ q <
/// limit. Two int32 per slot describe documents, windows, chunks, images that see themselves both
/// ways, and prefix trees; lists of blocks follow from them (blocks.hpp) without a mask of slots²
/// cells.
///
/// In each of these masks a key is seen by its own slot (windows of 0 excepted), so the queries
/// that see some of several neighbouring keys are one run. Padding is a document of its own.
#pragma once

#include <cstdint>
#include <span>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::indices {

/// Queries first … limit − 1 see the key.
struct key_interval {
  std::int64_t first = 0;
  std::int64_t limit = 0;
  friend constexpr bool operator==(const key_interval&, const key_interval&) noexcept = default;
};

/// With [b, e) the document of key k, w the parameter and f the first slot of k's image (k for
/// text):
enum class mask_kind : std::int32_t {
  causal,                ///< [k, e)
  full,                  ///< [b, e)
  causal_window,         ///< [k, min(e, k + w))
  bidirectional_window,  ///< [max(b, k − w), min(e, k + w + 1))
  causal_chunk,          ///< [k, min(e, b + ((k − b) / w + 1) · w)): Llama-4
  prefix,                ///< [max(b, f), e): Gemma-3's global layers
  prefix_window,         ///< [max(b, f), min(e, k + w)): Gemma-3's local layers
};

/// Whether a mask has a parameter w: at least 1 for chunks, 0 for windows.
[[nodiscard]] constexpr bool has_parameter(mask_kind kind) noexcept {
  return kind == mask_kind::causal_window || kind == mask_kind::bidirectional_window ||
         kind == mask_kind::causal_chunk || kind == mask_kind::prefix_window;
}

/// Whether a mask asks for images.
[[nodiscard]] constexpr bool has_images(mask_kind kind) noexcept {
  return kind == mask_kind::prefix || kind == mask_kind::prefix_window;
}

/// Key → its interval.
struct interval_of_key {
  mask_kind kind = mask_kind::causal;
  std::int64_t parameter = 0;
  const std::int32_t* image_first = nullptr;  ///< [slots] (find_image_starts), or null: no images

  [[nodiscard]] OMNIBAL_HD constexpr key_interval operator()(
      const token_cursor& key) const noexcept {
    const std::int64_t k = key.slot;
    const std::int64_t tokens_end = key.begin + key.length;
    const std::int64_t b = key.is_padding() ? tokens_end : key.begin;
    const std::int64_t e = key.is_padding() ? key.end : tokens_end;
    switch (kind) {
      case mask_kind::causal: return {k, e};
      case mask_kind::full: return {b, e};
      case mask_kind::causal_window: return {k, least(e, k + parameter)};
      case mask_kind::bidirectional_window:
        return {most(b, k - parameter), least(e, k + parameter + 1)};
      case mask_kind::causal_chunk: return {k, least(e, b + ((k - b) / parameter + 1) * parameter)};
      case mask_kind::prefix: return {most(b, image_begin(k)), e};
      case mask_kind::prefix_window: return {most(b, image_begin(k)), least(e, k + parameter)};
    }
    return {k, k + 1};
  }

 private:
  [[nodiscard]] OMNIBAL_HD static constexpr std::int64_t least(std::int64_t a,
                                                               std::int64_t b) noexcept {
    return a < b ? a : b;
  }
  [[nodiscard]] OMNIBAL_HD static constexpr std::int64_t most(std::int64_t a,
                                                              std::int64_t b) noexcept {
    return a < b ? b : a;
  }
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t image_begin(std::int64_t k) const noexcept {
    return image_first == nullptr ? k : image_first[k];
  }
};

/// The first slot of the image of each slot, the slot itself for text. An image is a run of slots
/// with the same number ≥ 0 in `image_group`; text has negative numbers. O(slots).
inline void find_image_starts(std::span<const std::int32_t> image_group,
                              std::span<std::int32_t> image_first) {
  if (image_first.size() != image_group.size())
    throw invalid_input("image_first", image_first.size(),
                        "entries are given: must be as many as image_group has");
  static_cast<void>(detail::narrow(static_cast<std::int64_t>(image_group.size()), "image_group"));
  for (std::size_t slot = 0; slot < image_group.size(); ++slot) {
    const bool inside =
        slot > 0 && image_group[slot] >= 0 && image_group[slot] == image_group[slot - 1];
    image_first[slot] = inside ? image_first[slot - 1] : static_cast<std::int32_t>(slot);
  }
}

}  // namespace omnibal::inline v0::indices
