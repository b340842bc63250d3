// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<1, std::uint32_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<1, std::uint64_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::wide_sums<1>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<2, std::uint32_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<2, std::uint64_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::wide_sums<2>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<3, std::uint32_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::packed_sums<3, std::uint64_t>>;
OMNIBAL_INSTANCE class detail::balanced_packer<detail::wide_sums<3>>;

OMNIBAL_INSTANCE packing_result packers::balanced::pack(std::span<const loads<1>>,
                                                        const packing_options<1>&) const;
OMNIBAL_INSTANCE packing_result packers::balanced::pack(std::span<const loads<2>>,
                                                        const packing_options<2>&) const;
OMNIBAL_INSTANCE packing_result packers::balanced::pack(std::span<const loads<3>>,
                                                        const packing_options<3>&) const;

}  // namespace omnibal::inline v0
