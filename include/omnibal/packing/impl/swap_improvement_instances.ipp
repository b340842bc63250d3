// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE class detail::swap_improver<1>;
OMNIBAL_INSTANCE class detail::swap_improver<2>;
OMNIBAL_INSTANCE class detail::swap_improver<3>;

}  // namespace omnibal::inline v0
