// SPDX-License-Identifier: Apache-2.0
/// @file
/// Export of a timeline as Chrome trace events, which Perfetto and chrome://tracing show: one row
/// per device, one slice per operation.
///
/// Source: "Trace Event Format", the document of the Chromium project.
#pragma once

#include <span>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

/// The timeline as one line of JSON, without its title. One unit of time becomes one microsecond.
/// O(bars).
[[nodiscard]] std::string chrome_trace(const timeline& step);

/// Several timelines in one trace, to be compared: a group of rows for each, named by its title.
[[nodiscard]] std::string chrome_traces(std::span<const timeline> steps);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/interop/impl/chrome_trace.ipp>
#endif
