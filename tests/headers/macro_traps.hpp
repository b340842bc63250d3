// SPDX-License-Identifier: Apache-2.0
/// @file
/// Macros that system headers define and that have broken other libraries: names that no public
/// header may use, not even for a template parameter or a local variable.

#define I OMNIBAL_MACRO_TRAP(complex_h)
#define B0 OMNIBAL_MACRO_TRAP(termios_h)
#define small OMNIBAL_MACRO_TRAP(rpcndr_h)
#define near OMNIBAL_MACRO_TRAP(windef_h)
#define far OMNIBAL_MACRO_TRAP(windef_h)
#define ERROR OMNIBAL_MACRO_TRAP(wingdi_h)
// libstdc++ undefines these two in its first header, libc++ guards against them; CCCL does neither.
#if !defined(__CUDACC__)
#define min(left, right) OMNIBAL_MACRO_TRAP(windows_h)
#define max(left, right) OMNIBAL_MACRO_TRAP(windows_h)
#endif
