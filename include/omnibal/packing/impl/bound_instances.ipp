// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE packing_bound<1> detail::bound_by_resource(const detail::load_estimates<1>&,
                                                            const loads<1>&);
OMNIBAL_INSTANCE packing_bound<2> detail::bound_by_resource(const detail::load_estimates<2>&,
                                                            const loads<2>&);
OMNIBAL_INSTANCE packing_bound<3> detail::bound_by_resource(const detail::load_estimates<3>&,
                                                            const loads<3>&);
OMNIBAL_INSTANCE class detail::plane_bound<1>;
OMNIBAL_INSTANCE class detail::plane_bound<2>;
OMNIBAL_INSTANCE class detail::plane_bound<3>;

}  // namespace omnibal::inline v0
