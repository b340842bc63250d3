// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <omnibal/planner.hpp>

struct whole {
  static constexpr const char* name = "whole";
  static constexpr bool monotone = true;
  static omnibal::rational value(const std::vector<omnibal::stage_cost>&,
                                 const omnibal::schedule_shape&);
  static omnibal::rational bound(const omnibal::pipeline_problem&);
  static omnibal::joint_result search(const omnibal::pipeline_problem& problem,
                                      const omnibal::joint_options& options) {
    return omnibal::search_partitions(problem, whole{}, options);
  }
};

void right(const omnibal::pipeline_problem& problem) {
  (void)omnibal::plan_jointly(problem, whole());
}

#ifdef OMNIBAL_MISTAKE
struct without_bound {
  static constexpr const char* name = "without bound";
  static constexpr bool monotone = true;
  static omnibal::rational value(const std::vector<omnibal::stage_cost>&,
                                 const omnibal::schedule_shape&);
  static omnibal::joint_result search(const omnibal::pipeline_problem&,
                                      const omnibal::joint_options&);
};
struct without_search {
  static constexpr const char* name = "without search";
  static constexpr bool monotone = true;
  static omnibal::rational value(const std::vector<omnibal::stage_cost>&,
                                 const omnibal::schedule_shape&);
  static omnibal::rational bound(const omnibal::pipeline_problem&);
};

void wrong(const omnibal::pipeline_problem& problem) {
  // clang-format off
  omnibal::any_objective one{without_bound()};                   // error: planning_objective|without_bound
  omnibal::any_objective two{without_search()};                  // error: planning_objective|without_search
  (void)omnibal::plan_jointly(problem, without_search());        // error: plan_jointly.*without_search|any_objective
  (void)omnibal::plan_jointly(problem, "makespan");              // error: plan_jointly|any_objective
  // clang-format on
}
#endif
