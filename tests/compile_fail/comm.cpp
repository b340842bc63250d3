// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <string>
#include <vector>

#include <omnibal/comm.hpp>

void right(omnibal::thread_communicator& ranks) {
  (void)omnibal::all_gather(ranks, std::vector<int>{1});
  (void)omnibal::all_reduce_sum(ranks, 1.5);
  (void)omnibal::all_reduce(ranks, 1,
                            [](int left, int right) { return left < right ? right : left; });
}

#ifdef OMNIBAL_MISTAKE
struct no_communicator {
  [[nodiscard]] std::size_t rank() const { return 0; }
  [[nodiscard]] std::size_t size() const { return 1; }
};

void wrong(omnibal::thread_communicator& ranks, no_communicator& alone, int* pointer) {
  // clang-format off
  (void)omnibal::all_reduce_sum(alone, 1);                             // error: communicator.*broadcast_bytes
  (void)omnibal::all_gather(ranks, std::vector<bool>{true});           // error: transferable_range|contiguous_range
  (void)omnibal::all_gather(ranks, std::vector<std::string>{"text"});  // error: transferable
  (void)omnibal::all_gather_value(ranks, pointer);                     // error: transferable|is_pointer
  (void)omnibal::all_gather_value(ranks, true);                        // error: transferable|same_as
  (void)omnibal::all_reduce(ranks, 1, [](std::string) { return 1; });  // error: is_invocable_r
  (void)omnibal::all_reduce_sum(ranks, 'a' == 'b');                    // error: transferable|same_as
  omnibal::thread_communicator copy = ranks;                           // error: deleted
  // clang-format on
}
#endif
