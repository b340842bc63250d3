// SPDX-License-Identifier: Apache-2.0
// Included twice by the unit that makes these instances: no include guard.
namespace omnibal::inline v0 {

OMNIBAL_INSTANCE class streaming_packer<1>;
OMNIBAL_INSTANCE void streaming_packer<1>::push(std::uint64_t, const loads<1>&);
OMNIBAL_INSTANCE class streaming_packer<2>;
OMNIBAL_INSTANCE void streaming_packer<2>::push(std::uint64_t, const loads<2>&);
OMNIBAL_INSTANCE class streaming_packer<3>;
OMNIBAL_INSTANCE void streaming_packer<3>::push(std::uint64_t, const loads<3>&);

OMNIBAL_INSTANCE packing_result packers::streaming::pack(std::span<const loads<1>>,
                                                         const packing_options<1>&) const;
OMNIBAL_INSTANCE packing_result packers::streaming::pack(std::span<const loads<2>>,
                                                         const packing_options<2>&) const;
OMNIBAL_INSTANCE packing_result packers::streaming::pack(std::span<const loads<3>>,
                                                         const packing_options<3>&) const;

}  // namespace omnibal::inline v0
