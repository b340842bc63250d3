// SPDX-License-Identifier: Apache-2.0
/// @file
/// Activation recomputation (checkpointing) of one stage, solved exactly: one mode per layer, so
/// that the extra time is least while in_flight · Σ saved + max transient is within the budget.
///
///     const auto choice = omnibal::choose_recomputation(
///         {.layers = layers, .in_flight = 4, .budget = bytes});
///     if (choice.has_modes()) use(choice.modes);
///
/// The transient is a maximum, not a sum, so each value it can take is tried as a cap; under a cap
/// a multiple-choice knapsack remains. Layers with equal modes are interchangeable and are chosen
/// by count. Each knapsack is solved exactly by a Pareto frontier of (saved, extra) that is pruned
/// with the Lagrangian bound at the multiplier of the linear relaxation: a partial choice whose
/// bound is not below the best known objective is dropped. Where a limit is reached the choice is
/// an approximation: the frontier keeps the points nearest to the relaxation, which proves the
/// bound. Sources: Sinha and Zoltners, "The multiple-choice knapsack problem", Operations Research
/// 1979 (relaxation by the convex hull of each class); Nemhauser and Ullmann, Management Science
/// 1969 (frontier). The enumeration of caps is this library's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/core/search_status.hpp>
#include <omnibal/pipeline/problem.hpp>

namespace omnibal::inline v0 {

/// Limits of the search.
struct recompute_options {
  /// Frontier points stored at a time, of about 50 bytes each; with more, a knapsack is
  /// approximated and its status is `stopped`.
  std::size_t point_limit = 1'000'000;
  /// Points that a chooser may compute in all its knapsacks, about 30 ns each, before it
  /// approximates the rest by the linear relaxation alone. A count instead of a time makes answers
  /// reproducible.
  std::uint64_t work_limit = 300'000'000;
  search_control control = {};  ///< A stop request ends the search like `work_limit`.
};

/// The modes of one stage.
struct recompute_result {
  search_status status = search_status::infeasible;
  search_limit limit = search_limit::none;
  std::int64_t objective = 0;    ///< Σ extra time of the modes chosen.
  std::int64_t bound = 0;        ///< Proven lower bound on it.
  std::int64_t bytes_short = 0;  ///< If infeasible: bytes missing for the minimum-memory choice.
  std::vector<std::size_t> modes = {};  ///< Per layer, if requested.

  [[nodiscard]] bool has_modes() const noexcept { return status != search_status::infeasible; }
};

/// A limit on a choice of modes: in_flight · Σ saved, and the largest transient where that counts,
/// fit the budget. 0 in flight leaves the transient alone.
struct activation_limit {
  std::int64_t in_flight = 1;
  std::int64_t budget = 0;  ///< Bytes; may be negative, and then nothing fits.
  bool with_transient = true;
};

/// Chooses modes for any interval of one chain of layers, with the preparation done once.
/// Not thread-safe: buffers are reused between calls. A call that throws leaves no trace in later
/// ones; a chooser that was moved from has no layers.
class recompute_chooser {
 public:
  static constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max() - 1;

  /// O(layers · log layers). Precondition: the layers are valid.
  explicit recompute_chooser(std::span<const pipeline_layer> layers,
                             recompute_options options = {});
  recompute_chooser(const recompute_chooser& other);
  recompute_chooser(recompute_chooser&& other) noexcept;
  recompute_chooser& operator=(const recompute_chooser& other);
  recompute_chooser& operator=(recompute_chooser&& other) noexcept;
  ~recompute_chooser();

  /// The least extra time of layers begin … end − 1 with `in_flight` micro-batches in flight and
  /// `budget` bytes for their activations; the caller subtracts static bytes first. Without modes.
  /// Pseudo-polynomial: O(caps · classes · frontier).
  /// Choices of more extra time than `limit` are not searched for: an objective beyond it may not
  /// be the least, and then the bound is beyond it too unless the search was cut short.
  [[nodiscard]] recompute_result least_extra(std::size_t begin, std::size_t end,
                                             std::int64_t in_flight, std::int64_t budget,
                                             std::int64_t limit = no_limit) {
    const activation_limit one{.in_flight = in_flight, .budget = budget};
    return least_extra(begin, end, std::span(&one, 1), limit);
  }

  /// The same under several limits.
  [[nodiscard]] recompute_result least_extra(std::size_t begin, std::size_t end,
                                             std::span<const activation_limit> limits,
                                             std::int64_t limit = no_limit) {
    limit_ = limit;
    return solve(begin, end, limits, false);
  }

  /// The same with the modes.
  [[nodiscard]] recompute_result choose(std::size_t begin, std::size_t end, std::int64_t in_flight,
                                        std::int64_t budget) {
    const activation_limit one{.in_flight = in_flight, .budget = budget};
    return choose(begin, end, std::span(&one, 1));
  }

  [[nodiscard]] recompute_result choose(std::size_t begin, std::size_t end,
                                        std::span<const activation_limit> limits) {
    limit_ = no_limit;
    return solve(begin, end, limits, true);
  }

  /// What the linear relaxation of an interval costs at most, in classes of layers under one cap.
  [[nodiscard]] std::size_t relaxation_cost() const noexcept {
    return classes_.size() * caps_.size();
  }

  /// The least budget with which the interval fits: every layer in a minimum-memory mode.
  [[nodiscard]] std::int64_t least_bytes(std::size_t begin, std::size_t end,
                                         std::int64_t in_flight) {
    const activation_limit empty{.in_flight = in_flight};
    return least_overrun(begin, end, std::span(&empty, 1));
  }

  /// Bytes by which the interval overruns the limits at least, with every layer in a minimum-memory
  /// mode; negative if it fits.
  [[nodiscard]] std::int64_t least_overrun(std::size_t begin, std::size_t end,
                                           std::span<const activation_limit> limits);

 private:
  /// Layers with equal modes.
  struct layer_class {
    std::vector<recompute_mode> modes;
    std::vector<std::size_t> layers = {};  ///< Ascending.

    [[nodiscard]] std::size_t count(std::size_t begin, std::size_t end) const;
  };
  /// The sums of an assignment of modes to the layers of one class, or of the first classes.
  struct point {
    std::int64_t saved = 0;
    std::int64_t extra = 0;
    wide_integer penalty = 0;      ///< By how much it exceeds the Lagrangian optimum, scaled.
    std::uint32_t parent = 0;      ///< Point of the classes before.
    std::uint32_t assignment = 0;  ///< Index of this class's assignment.
  };
  /// One step along the convex hull of a class: each of its layers may move from one mode to the
  /// next, saving `saved` time for `cost` bytes.
  struct upgrade {
    std::size_t of_class;
    std::uint32_t from;
    std::uint32_t to;
    std::int64_t saved;
    std::int64_t cost;
  };
  struct multiplier {
    std::int64_t numerator = 0;    ///< Extra time
    std::int64_t denominator = 1;  ///< per saved byte.
  };

  void group_layers(std::span<const pipeline_layer> layers);

  void caps_of_all_modes();

  void count_classes(std::size_t begin, std::size_t end);

  /// Σ of the least saved bytes with transients within the cap; −1 if some layer has no such mode.
  [[nodiscard]] std::int64_t least_saved_under(std::int64_t cap) const;

  [[nodiscard]] recompute_result solve(std::size_t begin, std::size_t end,
                                       std::span<const activation_limit> limits, bool want_modes);

  /// Improves best_ by the choices under one cap; returns a lower bound on those choices.
  [[nodiscard]] std::int64_t improve_under(std::int64_t cap, std::int64_t capacity);

  /// Per class the Pareto-optimal modes under the cap, by rising saved bytes.
  void collect_candidates(std::int64_t cap);

  /// The steps from the minimum-memory modes along each class's lower convex hull, by falling time
  /// saved per byte.
  void collect_upgrades();

  [[nodiscard]] static bool steeper(const recompute_mode& from, const recompute_mode& left,
                                    const recompute_mode& right);

  /// Takes upgrades in order as far as they fit, which is a feasible choice. The first that does
  /// not fit gives the Lagrange multiplier of a byte in the linear relaxation.
  [[nodiscard]] multiplier relax(std::int64_t capacity);

  /// Every layer in the minimum-memory mode under the cap.
  void start_with_minimum_memory();

  [[nodiscard]] const recompute_mode& mode_at(std::size_t k, std::size_t candidate) const;

  [[nodiscard]] static wide_integer lagrangian_of(const recompute_mode& mode,
                                                  const multiplier& lambda);

  /// min over all choices of denominator · extra + numerator · (saved − capacity): a lower bound on
  /// denominator · extra of every choice that fits. Leaves each class's minimum in floor_.
  [[nodiscard]] wide_integer lagrangian(const multiplier& lambda, std::int64_t capacity);

  /// All assignments of modes to the layers of class k with a penalty within the slack; that of the
  /// relaxation alone where there are too many.
  void enumerate_assignments(std::size_t k, const multiplier& lambda, wide_integer slack);

  /// False where there are too many.
  bool enumerate_counts(std::size_t k, const multiplier& lambda, wide_integer slack,
                        std::size_t candidate, std::int64_t left, point sum);

  /// Exact search for choices of extra time less than best_.
  void search(const multiplier& lambda, std::int64_t capacity, wide_integer slack);

  /// frontier_[k + 1]: the Pareto-optimal sums of a point of frontier_[k] and an assignment of
  /// class k, by rising saved bytes and falling extra time; empty where the search is stopped.
  /// `stored` points are in the frontiers before.
  void extend_frontier(std::size_t k, std::int64_t capacity, wide_integer slack,
                       std::size_t stored);

  /// Sorts by rising saved bytes and keeps those of falling extra time.
  static void keep_pareto_optimal(std::vector<point>& points);

  /// Where there are more points than so many: keeps of each of as many runs of neighbours the one
  /// of least penalty. Precondition: they are sorted.
  void approximate(std::vector<point>& points, std::size_t most);

  /// Whether the limit of work or the caller ends the search.
  [[nodiscard]] bool stopped();

  /// Σ of the least extra times of all layers.
  [[nodiscard]] std::int64_t minimum_time_extra() const;

  /// Traces a point of the last frontier back to the counts of every class.
  void remember(std::size_t k, std::size_t at);

  /// Assigns the counted modes to the layers in order, modes of higher index first: by convention
  /// those recompute more, and trainers that take a count of layers recompute the first of a stage.
  [[nodiscard]] std::vector<std::size_t> modes_of_layers(std::size_t begin, std::size_t end);

  struct present_class {
    std::size_t index;
    std::int64_t count;
  };

  recompute_options options_;
  std::vector<layer_class> classes_;
  std::vector<std::size_t> class_of_;
  std::vector<std::int64_t> caps_;

  std::vector<present_class> present_;
  std::vector<std::vector<std::uint32_t>> candidates_;
  std::vector<upgrade> upgrades_;
  std::vector<wide_integer> floor_;
  std::vector<std::vector<point>> assignments_;
  std::vector<std::vector<std::int64_t>> assignment_counts_;
  std::vector<std::vector<point>> frontier_;
  std::vector<std::int64_t> counts_;
  std::int64_t best_ = 0;
  std::int64_t limit_ = no_limit;
  std::vector<std::vector<std::int64_t>> best_counts_;
  std::vector<std::vector<std::int64_t>> greedy_counts_;
  bool exhausted_ = false;
  std::size_t most_assignments_ = 0;  ///< Of the class whose assignments are enumerated.
  std::uint64_t work_ = 0;
};

/// The problem of one stage by itself.
struct recompute_problem {
  std::vector<pipeline_layer> layers = {};
  std::size_t in_flight = 1;  ///< Micro-batches in flight at the peak.
  std::int64_t budget = 0;    ///< Bytes for activations.
};

/// Chooses a mode per layer of least total extra time such that in_flight · Σ saved + max transient
/// ≤ budget. Throws invalid_input for values out of range. Complexity of recompute_chooser.
[[nodiscard]] recompute_result choose_recomputation(const recompute_problem& problem,
                                                    const recompute_options& options = {});

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/recompute/impl/exact.ipp>
#endif
