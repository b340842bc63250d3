// SPDX-License-Identifier: Apache-2.0
#include "files/given_names.hpp"

#include <cctype>
#include <cstddef>

namespace omnibal::cli {
namespace {

constexpr given_name problem_key_table[] = {
    {"virtual_stages", "virtual"},
    {"memory_limit", "mem_limit"},
    {"time_factor", "devices"},
    {"time_factor[].numerator", "devices[].speed.num"},
    {"time_factor[].denominator", "devices[].speed.den"},
    {"layers[].forward_time", "layers[].fwd"},
    {"layers[].backward_time", "layers[].bwd"},
    {"layers[].weight_gradient_time", "layers[].wgrad"},
    {"layers[].static_bytes", "layers[].static"},
    {"layers[].forward_latency", "layers[].cf"},
    {"layers[].backward_latency", "layers[].cb"},
    {"layers[].step_time", "layers[].step"},
    {"layers[].reduction_time", "layers[].reduction"},
    {"layers[].gather_time", "layers[].gather"},
    {"layers[].modes[].extra_time", "layers[].modes[].extra"},
    {"layers[].modes[].saved_bytes", "layers[].modes[].act"},
    {"layers[].modes[].transient_bytes", "layers[].modes[].trans"},
    {"layers[].modes[].saved_for_weight_gradient", "layers[].modes[].act_w"},
    {"saved_bytes of all layers", "act of all layers"},
    {"training[].input_gradient", "layers[].input_grad"},
    {"scenarios[].forward", "scenarios[].fwd"},
    {"scenarios[].backward", "scenarios[].bwd"},
    {"scenarios[].weight_gradient", "scenarios[].wgrad"},
    {"measure.alpha", "alpha"},
    {"orders", "device_order"},
    {"in_flight", "inflight"},
    // Names that are the same in files, so that errors name the file.
    {"stages", "stages"},
    {"microbatches", "microbatches"},
    {"group_size", "group_size"},
    {"layers", "layers"},
    {"layers[].modes", "layers[].modes"},
    {"times of all layers", "times of all layers"},
    {"bytes of all layers", "bytes of all layers"},
    {"reserved", "reserved"},
    {"memory_margin", "memory_margin"},
    {"tied", "tied"},
    {"together", "together"},
    {"apart", "apart"},
    {"scenarios", "scenarios"},
    {"budget", "budget"},
    {"weights", "weights"},
    {"parts", "parts"},
};

constexpr given_name model_key_table[] = {
    {"vision.layers", "vision.layers"},
    {"vision.hidden", "vision.hidden"},
    {"vision.heads", "vision.a"},
    {"vision.ffn", "vision.ffn"},
    {"vision.tokens_per_tile", "vit_tokens_per_tile"},
    {"vision.full_attention_layers", "vision.full_attention_layers"},
    {"language.layers", "llm.layers"},
    {"language.hidden", "llm.hidden"},
    {"language.heads", "llm.a"},
    {"language.kv_heads", "llm.kv"},
    {"language.ffn", "llm.ffn"},
    {"language.vocabulary", "llm.vocab"},
    {"language_tokens_per_tile", "llm_tokens_per_tile"},
    {"projector", "projector_mlp"},
};

constexpr given_name profile_key_table[] = {
    {"profile.tensor_parallel", "tp"},
    {"profile.fits", "fits"},
    {"rows", "layers"},
    {"rows[].work.tiles", "layers[].tiles"},
    {"rows[].work.tokens", "layers[].tokens"},
    {"rows[].work.squared_tokens", "layers[].squared_tokens"},
    {"rows[].forward_time", "layers[].forward_seconds"},
    {"rows[].backward_time", "layers[].backward_seconds"},
    {"rows[].weight_gradient_time", "layers[].weight_gradient_seconds"},
    {"rows[].saved_bytes", "layers[].kept_bytes"},
    {"rows[].saved_for_weight_gradient", "layers[].kept_for_w_bytes"},
};

constexpr given_name shape_key_table[] = {
    {"columns", "columns"},
    {"columns[].shares", "columns[].plus"},
};

constexpr given_name step_key_table[] = {
    {"times", "times"},
    {"times.forward", "fwd"},
    {"times.backward", "bwd"},
    {"times.weight_gradient", "wgrad"},
    {"times.forward_latency", "cf"},
    {"times.backward_latency", "cb"},
    {"times.microbatch_scale", "mb_scale"},
    {"recomputation", "recompute"},
    {"activations", "act"},
    {"activations[].saved", "act[]"},
    {"step_times", "step"},
};

constexpr given_name plan_option_table[] = {
    {"stages", "--pp"},
    {"virtual_stages", "--virtual"},
    {"data_parallel", "--dp"},
    {"tensor_parallel", "--tp"},
    {"devices", "--gpus"},
    {"global_batch", "--global-batch"},
    {"batch_tolerance", "--batch-tolerance"},
    {"optimizer_bytes", "--optimizer-bytes"},
    {"memory.limit", "--memory"},
    {"memory.reserved", "--reserve"},
    {"memory.margin", "--margin"},
    {"capacity", "--capacity"},
    {"current", "--current"},
};

/// Whether the text is the member, or an element or member of it.
bool belongs_to(std::string_view text, std::string_view member) {
  return text.starts_with(member) &&
         (text.size() == member.size() || text[member.size()] == '[' || text[member.size()] == '.');
}

bool is_part_of_word(char one) {
  return std::isalnum(static_cast<unsigned char>(one)) != 0 || one == '_';
}

void replace_word(std::string& text, std::string_view word, std::string_view by) {
  for (std::size_t place = text.find(word); place != std::string::npos;) {
    const std::size_t end = place + word.size();
    const bool is_whole = (place == 0 || !is_part_of_word(text[place - 1])) &&
                          (end == text.size() || !is_part_of_word(text[end]));
    if (is_whole) text.replace(place, word.size(), by);
    place = text.find(word, is_whole ? place + by.size() : end);
  }
}

/// Words of a language do not have these.
bool is_name(std::string_view word) { return word.find_first_of("._") != std::string_view::npos; }

std::string_view last_member(std::string_view path) {
  const std::size_t point = path.rfind('.');
  return point == std::string_view::npos ? path : path.substr(point + 1);
}

}  // namespace

std::span<const given_name> problem_keys() { return problem_key_table; }
std::span<const given_name> model_keys() { return model_key_table; }
std::span<const given_name> profile_keys() { return profile_key_table; }
std::span<const given_name> shape_keys() { return shape_key_table; }
std::span<const given_name> step_keys() { return step_key_table; }
std::span<const given_name> plan_options() { return plan_option_table; }

std::string in_given_words(std::string text, std::span<const given_name> names) {
  for (const given_name& one : names) {
    if (is_name(one.member)) replace_word(text, one.member, one.given);
    const std::string_view last = last_member(one.member);
    if (is_name(last)) replace_word(text, last, last_member(one.given));
  }
  return text;
}

invalid_input in_given_words(const invalid_input& error, std::span<const given_name> names,
                             const std::string& where) {
  const given_name* best = nullptr;
  for (const given_name& one : names)
    if (belongs_to(error.field(), one.member) &&
        (best == nullptr || one.member.size() > best->member.size()))
      best = &one;
  if (best == nullptr) return error;
  const std::string field =
      where + std::string(best->given) + error.field().substr(best->member.size());
  return {field, error.indices(), error.value(), in_given_words(error.advice(), names)};
}

}  // namespace omnibal::cli
