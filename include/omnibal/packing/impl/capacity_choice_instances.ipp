// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE std::vector<capacity_estimate<1>> estimate_capacities(
    const capacity_choice_problem<1>&, const capacity_choice_options<1>&);
OMNIBAL_INSTANCE std::vector<capacity_estimate<2>> estimate_capacities(
    const capacity_choice_problem<2>&, const capacity_choice_options<2>&);
OMNIBAL_INSTANCE std::vector<capacity_estimate<3>> estimate_capacities(
    const capacity_choice_problem<3>&, const capacity_choice_options<3>&);
OMNIBAL_INSTANCE capacity_choice_result<1> choose_capacity(const capacity_choice_problem<1>&,
                                                           const capacity_choice_options<1>&);
OMNIBAL_INSTANCE capacity_choice_result<2> choose_capacity(const capacity_choice_problem<2>&,
                                                           const capacity_choice_options<2>&);
OMNIBAL_INSTANCE capacity_choice_result<3> choose_capacity(const capacity_choice_problem<3>&,
                                                           const capacity_choice_options<3>&);

}  // namespace omnibal::inline v0
