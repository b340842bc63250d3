// SPDX-License-Identifier: Apache-2.0
/// @file
/// Ranks that are processes, of which this is one. What they tell each other beside the training
/// goes over a communicator; the channel of the training is the derived class's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/run/execution_plan.hpp>

#include "ranks.hpp"
#include "report.hpp"
#include "strategy_run.hpp"
#include "training.hpp"

namespace omnibal::trainer {

namespace detail {

inline constexpr std::int64_t rank_report::*integers_of_report[] = {
    &rank_report::peak_saved_bytes,
    &rank_report::predicted_peak_saved_bytes,
    &rank_report::peak_activation_bytes,
    &rank_report::predicted_peak_activation_bytes,
    &rank_report::peak_message_bytes,
    &rank_report::parameter_bytes,
    &rank_report::busy,
    &rank_report::time};

/// The reports of all processes: losses and answers are the same on all.
template <communicator Control>
[[nodiscard]] std::vector<rank_report> reports_of_all(Control& control, const rank_report& own) {
  constexpr std::size_t members = std::size(integers_of_report);
  std::vector<std::int64_t> numbers;
  for (const auto member : integers_of_report) numbers.push_back(own.*member);
  const std::vector<std::int64_t> all = all_gather(control, numbers);
  std::vector<rank_report> reports(control.size(), own);
  for (std::size_t i = 0; i < all.size(); ++i)
    reports[i / members].*integers_of_report[i % members] = all[i];
  return reports;
}

}  // namespace detail

template <communicator Control>
class process_ranks : public training_ranks {
 public:
  /// `processes` says in errors what the ranks are.
  process_ranks(Control control, std::string processes)
      : control_(std::move(control)), processes_(std::move(processes)) {}

  [[nodiscard]] bool is_first() const override { return control_.rank() == 0; }

  void require_size(std::size_t ranks) const override {
    if (control_.size() != ranks)
      throw invalid_input(processes_, control_.size(),
                          "must be --pp times --dp, " + std::to_string(ranks));
  }

  [[nodiscard]] std::string from_first(const std::function<std::string()>& make) override {
    std::string text = is_first() ? make() : std::string();
    std::vector<std::uint64_t> size = {text.size()};
    broadcast(control_, size, 0);
    text.resize(size[0]);
    broadcast(control_, text, 0);
    return text;
  }

  [[nodiscard]] strategy_report run(const training_run& run, strategy how,
                                    std::chrono::milliseconds deadline) override {
    require_agreement(control_, "the execution plan", fingerprint(run.planned.plan));
    run_record record(run);
    training_run recorded = run;
    recorded.after_step = [&](std::size_t rank, const step_report& step) {
      record.add(step);
      if (run.after_step) run.after_step(rank, step);
    };
    const rank_report mine = train(recorded, deadline);
    strategy_report report = std::move(record).report();
    report.how = how;
    report.ranks = detail::reports_of_all(control_, mine);
    return report;
  }

 protected:
  [[nodiscard]] Control& control() noexcept { return control_; }
  /// Trains this rank over a channel of all processes, which is closed when it returns.
  [[nodiscard]] virtual rank_report train(const training_run& run,
                                          std::chrono::milliseconds deadline) = 0;

 private:
  Control control_;
  std::string processes_;
};

}  // namespace omnibal::trainer
