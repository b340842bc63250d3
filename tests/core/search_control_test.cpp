// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include <omnibal/core/search_control.hpp>

#include "catch.hpp"

using namespace omnibal;

TEST_CASE("a run control left empty neither reports nor stops") {
  const search_control control;
  CHECK_NOTHROW(control.report_progress("packing", 1, 2));
  CHECK_FALSE(control.stop_requested());
}

TEST_CASE("progress reaches the callback as it was reported") {
  std::vector<std::string> reported;
  const search_control control = {.report = [&](const progress& now) {
    reported.push_back(std::string(now.phase) + " " + std::to_string(now.done) + "/" +
                       std::to_string(now.total));
  }};
  control.report_progress("packing", 0, UINT64_MAX);
  control.report_progress("dispatch", 3, 3);
  CHECK(reported == std::vector<std::string>{"packing 0/18446744073709551615", "dispatch 3/3"});
}

TEST_CASE("a stop token ends the work, also from inside the callback") {
  std::stop_source source;
  const search_control control = {.report =
                                      [&](const progress& now) {
                                        if (now.done == 2) source.request_stop();
                                      },
                                  .stop = source.get_token()};
  std::uint64_t done = 0;
  while (done < 10 && !control.stop_requested()) control.report_progress("counting", ++done, 10);
  CHECK(done == 2);
}
