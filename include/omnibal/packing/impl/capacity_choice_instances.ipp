// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE std::vector<capacity_estimate<1>> estimate_capacities(
    const capacity_choice_problem<1>&, const search_control&);
OMNIBAL_INSTANCE std::vector<capacity_estimate<2>> estimate_capacities(
    const capacity_choice_problem<2>&, const search_control&);
OMNIBAL_INSTANCE std::vector<capacity_estimate<3>> estimate_capacities(
    const capacity_choice_problem<3>&, const search_control&);
OMNIBAL_INSTANCE capacity_choice<1> choose_capacity(const capacity_choice_problem<1>&,
                                                    const search_control&);
OMNIBAL_INSTANCE capacity_choice<2> choose_capacity(const capacity_choice_problem<2>&,
                                                    const search_control&);
OMNIBAL_INSTANCE capacity_choice<3> choose_capacity(const capacity_choice_problem<3>&,
                                                    const search_control&);

}  // namespace omnibal::inline v0
