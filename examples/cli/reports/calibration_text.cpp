// SPDX-License-Identifier: Apache-2.0
#include "reports/calibration_text.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "reports/text.hpp"

namespace omnibal::cli {
namespace {

/// A coefficient and its standard error as a share of it.
std::string coefficient_text(const linear_fit& fit, std::size_t c) {
  if (std::ranges::find(fit.undetermined, coefficient_names[c]) != fit.undetermined.end())
    return "?";
  const double value = fit.coefficients[c];
  const double error = fit.standard_errors[c];
  if (value == 0.0) return "0";
  if (!std::isfinite(error)) return fmt::format("{:.4g}", value);
  return fmt::format("{:.4g} ± {}", value, percent(error / value, 1));
}

void add_row(text_table& table, const std::string& layer, const char* what,
             const std::optional<linear_fit>& fit) {
  if (!fit) return;
  std::vector<std::string> row = {layer + ", " + what};
  for (std::size_t c = 0; c < coefficient_names.size(); ++c)
    row.push_back(coefficient_text(*fit, c));
  row.push_back(value_text(fit->measurements));
  row.push_back(percent(fit->rms_residual, 1));
  row.push_back(percent(fit->largest_residual, 1));
  table.rows.push_back(row);
}

std::string fits_table(const std::vector<layer_fit>& layers) {
  text_table table{.headings = {"", "constant", "per tile", "per token", "per squared token",
                                "measurements", "error, rms", "error, largest"}};
  for (const layer_fit& layer : layers) {
    add_row(table, layer.name, "forward time, ns", layer.forward_time);
    add_row(table, layer.name, "backward time, ns", layer.backward_time);
    for (const mode_fit& mode : layer.modes) {
      const std::string in_mode = layer.name + " " + mode.name;
      add_row(table, in_mode, "extra time, ns", mode.extra_time);
      add_row(table, in_mode, "saved activations, bytes", mode.saved_bytes);
      add_row(table, in_mode, "transient memory, bytes", mode.transient_bytes);
    }
  }
  return table.to_string();
}

}  // namespace

std::string to_text(const profile_file& file) {
  const std::string table = fits_table(file.profile.fits);
  std::string text = value_text(file.profile.measurements) + " measurements\n\n" + table + "\n";
  if (table.find('?') != std::string::npos)
    text +=
        "?: the measurements do not determine this coefficient; it is taken to be 0. Measure "
        "workloads "
        "whose tiles, tokens and sequence lengths vary independently.\n";
  const double margin = suggested_margin(file.profile.fits);
  if (!std::isfinite(margin))
    return text +
           "Bytes were measured where the fit predicts none, so no margin covers them. Look for "
           "measurements that contradict each other, or give plan a --margin.\n";
  return text + "With a margin of " + percent(margin, 1) +
         " the fitted bytes cover every measurement; plan --profile uses this margin.\n";
}

}  // namespace omnibal::cli
