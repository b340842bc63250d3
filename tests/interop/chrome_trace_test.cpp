// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <omnibal/interop/chrome_trace.hpp>

#include "../catch.hpp"

using namespace omnibal;

TEST_CASE("chrome_trace names the rows and writes a slice per bar") {
  timeline step{.title = "\"quoted\"", .devices = 2};
  step.bars.push_back({.device = 1,
                       .begin = 3,
                       .end = 8,
                       .recomputed = 2,
                       .work = {.kind = operation_kind::backward, .stage = 1, .microbatch = 4}});
  CHECK(chrome_trace(step) ==
        R"({"traceEvents":[)"
        R"({"name":"thread_name","ph":"M","pid":0,"tid":0,"args":{"name":"device 0"}},)"
        R"({"name":"thread_name","ph":"M","pid":0,"tid":1,"args":{"name":"device 1"}},)"
        R"({"name":"B1.4","cat":"backward","ph":"X","pid":0,"tid":1,"ts":3,"dur":5,)"
        R"("args":{"recomputed":2}}]})"
        "\n");
}

TEST_CASE("chrome_trace tells the kinds of operations apart") {
  timeline step{.devices = 1};
  for (const auto kind :
       {operation_kind::forward, operation_kind::backward, operation_kind::weight_gradient})
    step.bars.push_back({.begin = 0, .end = 1, .work = {.kind = kind}});
  const std::string text = chrome_trace(step);
  for (const char* category : {"\"forward\"", "\"backward\"", "\"weight gradient\""})
    CHECK(text.find(category) != std::string::npos);
}

TEST_CASE("chrome_trace of nothing is an empty list") {
  CHECK(chrome_trace({}) == "{\"traceEvents\":[]}\n");
}

TEST_CASE("chrome_traces has a named group of rows for each timeline") {
  timeline first{.title = "a \"b\"\\\n", .devices = 1};
  first.bars.push_back({.begin = 1, .end = 2});
  const timeline both[] = {first, {.title = "c", .devices = 1}};
  CHECK(chrome_traces(both) ==
        R"({"traceEvents":[)"
        R"({"name":"process_name","ph":"M","pid":0,"args":{"name":"a \"b\"\\\u000a"}},)"
        R"({"name":"thread_name","ph":"M","pid":0,"tid":0,"args":{"name":"device 0"}},)"
        R"({"name":"F0.0","cat":"forward","ph":"X","pid":0,"tid":0,"ts":1,"dur":1,)"
        R"("args":{"recomputed":0}},)"
        R"({"name":"process_name","ph":"M","pid":1,"args":{"name":"c"}},)"
        R"({"name":"thread_name","ph":"M","pid":1,"tid":0,"args":{"name":"device 0"}}]})"
        "\n");
  CHECK(chrome_traces({}) == "{\"traceEvents\":[]}\n");
}
