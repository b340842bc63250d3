// SPDX-License-Identifier: Apache-2.0
// omnibal-indices [--emulated] CASES.json: prints what the library gives for each case of the file.
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "emulated_forms.hpp"
#include "operations.hpp"

namespace {

using omnibal::examples::forms;
using omnibal::examples::json;

/// Exit statuses, as those of the command omnibal.
constexpr int bad_input = 2;
constexpr int unwritable = 4;
constexpr int out_of_memory = 71;

constexpr const char* usage =
    "usage: omnibal-indices [--emulated] CASES.json\n"
    "Prints {\"operation\", \"cases\": [{\"name\", \"out\"}]} for a file of cases of one\n"
    "operation on packed batches; docs/device-indices.md describes both.\n"
    "\n"
    "--emulated  answers from the kernels, run by the emulator without a GPU; without a file,\n"
    "            lists what the host form answers all the same";

struct host_part {
  std::string_view operation;
  std::string_view what;
};

/// What the host form answers with --emulated too, since no kernel is needed.
constexpr std::array host_parts = {
    host_part{"boundaries_from_position_ids", "all of it: what consumers do"},
    host_part{"megatron_sft_pack", "all of it: what a consumer does"},
    host_part{"labels", "shifted_across: what consumers do"},
    host_part{"unpad", "max_seqlen of rows of documents: a number of the host"},
    host_part{"vision_cu_seqlens", "grids of more than 4,194,304 patches: too many to emulate"},
    host_part{"vision_scatter", "slots and rows: source_row_of_slot is what kernels take"},
    host_part{"tree", "the order and the runs of the tree, and its rectangles: made with the data"},
    host_part{"context_parallel_whole_row",
              "a2a_chunks_before and _after: closed forms of cp_size"},
    host_part{"context_parallel_contiguous", "the views: their keys' range is numbers of the host"},
    host_part{"offsets", "FlashInfer's arrays: it plans on the host; capacities of cuDNN"}};

void list_host_parts() {
  std::puts("With --emulated the host form answers:");
  for (const host_part& part : host_parts)
    std::printf("  %-28s  %s\n", part.operation.data(), part.what.data());
}

/// Says what of this operation is the host form's; on the error stream, beside the answer.
void tell_host_part(const json& cases) {
  const auto operation = cases.at("operation").get<std::string>();
  for (const host_part& part : host_parts)
    if (part.operation == operation)
      std::fprintf(stderr, "omnibal-indices: %s from the host form: %s\n", operation.c_str(),
                   part.what.data());
}

/// Refuses an object that has a key twice, of which a parser would keep one.
class key_check : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override {
    keys_.emplace_back();
    return true;
  }
  bool key(string_t& name) override {
    if (!keys_.back().insert(name).second)
      throw omnibal::invalid_input("key", name, "is given twice in an object");
    return true;
  }
  bool end_object() override {
    keys_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }
  // What is no JSON the parser itself reports.
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  std::vector<std::set<std::string>> keys_;  ///< Of the objects that are open.
};

int run(const std::string& path, bool emulated) {
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path)) {
    std::fprintf(stderr, "omnibal-indices: %s: cannot be read, or is no file\n", path.c_str());
    return bad_input;
  }
  const std::unique_ptr<forms> form =
      emulated ? omnibal::examples::make_emulated_forms() : std::make_unique<forms>();
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  key_check check;
  static_cast<void>(json::sax_parse(text, &check));
  const json cases = json::parse(text);
  const auto [answer, malformed] = omnibal::examples::answer_cases(*form, cases);
  if (emulated) tell_host_part(cases);
  std::cout << answer.dump() << '\n' << std::flush;
  if (!std::cout) return unwritable;
  for (const json& one : answer.at("cases"))
    if (one.contains("error"))
      std::fprintf(stderr, "omnibal-indices: %s: case %s: %s\n", path.c_str(),
                   one.at("name").get<std::string>().c_str(),
                   one.at("error").get<std::string>().c_str());
  return malformed ? bad_input : 0;
}

}  // namespace

int main(int count, char** values) {
  const std::vector<std::string> arguments(values + 1, values + count);
  const auto has = [&](std::string_view option) {
    return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
  };
  if (has("--help")) {
    std::puts(usage);
    return 0;
  }
  const bool emulated = !arguments.empty() && arguments.front() == "--emulated";
  if (emulated && arguments.size() == 1) {
    list_host_parts();
    return 0;
  }
  if (arguments.size() != (emulated ? 2 : 1) || arguments.back().starts_with("--")) {
    std::fprintf(stderr, "%s\n", usage);
    return 2;
  }
  try {
    return run(arguments.back(), emulated);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "omnibal-indices: %s: out of memory: fewer slots need less\n",
                 arguments.back().c_str());
    return out_of_memory;
  } catch (const json::exception& error) {
    const std::string_view what = error.what();
    const auto begin = what.find("] ");  // After the number that the parser gives its message.
    std::fprintf(stderr, "omnibal-indices: %s: is not JSON: %s\n", arguments.back().c_str(),
                 error.what() + (begin == std::string_view::npos ? 0 : begin + 2));
    return bad_input;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "omnibal-indices: %s: %s\n", arguments.back().c_str(), error.what());
    return bad_input;
  }
}
