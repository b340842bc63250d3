// SPDX-License-Identifier: Apache-2.0
/// @file
/// Timelines as a picture: one row per device, one bar per operation, idle time left empty. Several
/// steps are drawn one above the other on the same scale, to be compared.
#pragma once

#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

/// The timelines as one SVG document, all on the scale of the longest. Titles may contain any
/// characters; bytes are taken as UTF-8. O(bars).
[[nodiscard]] std::string timelines_svg(std::span<const timeline> timelines);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/interop/impl/svg.ipp>
#endif
