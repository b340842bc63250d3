// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "answers.hpp"

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#error "this unit is for the compiled library"
#endif

int main() {
  const answers compiled = answers_of_this_unit();
  if (compiled.frontier.empty() || compiled.plan.cuts.size() != 4) {
    std::puts("the compiled library gives no answer");
    return 1;
  }
  if (compiled == header_only_answers()) return 0;
  std::puts("the compiled library and the headers alone answer differently");
  return 1;
}
