// SPDX-License-Identifier: Apache-2.0
#include "cudnn_attention.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

#include <cudnn_frontend.h>

namespace omnibal::trainer::detail {
namespace {

namespace fe = cudnn_frontend;
using graph_tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

/// Names of tensors, by which a plan finds their memory.
enum tensor_id : std::int64_t {
  lengths_id = 1,
  offsets_id,
  output_offsets_id,
  log_sum_offsets_id,
  queries_id,
  keys_id,
  values_id,
  output_id,
  log_sums_id,
  output_gradient_id,
  query_gradient_id,
  key_gradient_id,
  value_gradient_id,
};

void require(const fe::error_t& status) {
  if (status.is_bad()) throw std::runtime_error("attention by cuDNN: " + status.err_msg);
}
void require(cudnnStatus_t status) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw std::runtime_error(std::string("attention by cuDNN: ") + cudnnGetErrorString(status));
}

/// The graph of a pass, in cuDNN's order of dimensions: groups, heads, rows, numbers.
class ragged_graph {
 public:
  explicit ragged_graph(const ragged_shape& shape) : shape_(shape) {
    graph_.set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    lengths_ = index(lengths_id, shape.groups, fe::DataType_t::INT32);
    offsets_ = index(offsets_id, shape.groups + 1, fe::DataType_t::INT64);
    output_offsets_ = index(output_offsets_id, shape.groups + 1, fe::DataType_t::INT64);
    log_sum_offsets_ = index(log_sum_offsets_id, shape.groups + 1, fe::DataType_t::INT64);
  }

  [[nodiscard]] fe::graph::Graph forward() && {
    auto options = fe::graph::SDPA_attributes().set_name("attention").set_generate_stats(true);
    complete(options);
    const auto [output, log_sums] =
        graph_.sdpa(packed(queries_id, shape_.heads), packed(keys_id, shape_.key_heads),
                    packed(values_id, shape_.key_heads), options);
    describe_output(output, output_id);
    describe_log_sums(log_sums);
    output->set_output(true);
    log_sums->set_output(true);
    return std::move(graph_);
  }

  [[nodiscard]] fe::graph::Graph backward() && {
    auto options = fe::graph::SDPA_backward_attributes().set_name("attention_gradient");
    complete(options);
    const auto [queries, keys, values] =
        graph_.sdpa_backward(packed(queries_id, shape_.heads), packed(keys_id, shape_.key_heads),
                             packed(values_id, shape_.key_heads), output(output_id),
                             output(output_gradient_id), log_sums(), options);
    describe_packed(queries, query_gradient_id, shape_.heads);
    describe_packed(keys, key_gradient_id, shape_.key_heads);
    describe_packed(values, value_gradient_id, shape_.key_heads);
    for (const graph_tensor& each : {queries, keys, values}) each->set_output(true);
    return std::move(graph_);
  }

 private:
  template <typename Options>
  void complete(Options& options) {
    options.set_attn_scale(1 / std::sqrt(static_cast<float>(shape_.width)))
        .set_padding_mask(true)
        .set_seq_len_q(lengths_)
        .set_seq_len_kv(lengths_);
    if (shape_.is_causal)
      options.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
          .set_diagonal_band_right_bound(0);
  }

  [[nodiscard]] graph_tensor index(tensor_id id, std::int64_t count, fe::DataType_t type) {
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_uid(id)
                             .set_name("index" + std::to_string(id))
                             .set_dim({count, 1, 1, 1})
                             .set_stride({1, 1, 1, 1})
                             .set_data_type(type));
  }
  [[nodiscard]] graph_tensor tensor(tensor_id id) {
    return graph_.tensor(
        fe::graph::Tensor_attributes().set_uid(id).set_name("rows" + std::to_string(id)));
  }

  /// Queries, keys or values: a row has those of all heads.
  void describe_packed(const graph_tensor& of, tensor_id id, std::int64_t heads) const {
    const std::int64_t columns = (shape_.heads + 2 * shape_.key_heads) * shape_.width;
    of->set_uid(id)
        .set_dim({shape_.groups, heads, shape_.longest, shape_.width})
        .set_stride({shape_.longest * columns, shape_.width, columns, 1})
        .set_ragged_offset(offsets_);
  }
  void describe_output(const graph_tensor& of, tensor_id id) const {
    const std::int64_t columns = shape_.heads * shape_.width;
    of->set_uid(id)
        .set_dim({shape_.groups, shape_.heads, shape_.longest, shape_.width})
        .set_stride({shape_.longest * columns, shape_.width, columns, 1})
        .set_ragged_offset(output_offsets_);
  }
  void describe_log_sums(const graph_tensor& of) const {
    of->set_uid(log_sums_id)
        .set_data_type(fe::DataType_t::FLOAT)
        .set_dim({shape_.groups, shape_.heads, shape_.longest, 1})
        .set_stride({shape_.longest * shape_.heads, 1, shape_.heads, 1})
        .set_ragged_offset(log_sum_offsets_);
  }
  [[nodiscard]] graph_tensor packed(tensor_id id, std::int64_t heads) {
    graph_tensor made = tensor(id);
    describe_packed(made, id, heads);
    return made;
  }
  [[nodiscard]] graph_tensor output(tensor_id id) {
    graph_tensor made = tensor(id);
    describe_output(made, id);
    return made;
  }
  [[nodiscard]] graph_tensor log_sums() {
    graph_tensor made = tensor(log_sums_id);
    describe_log_sums(made);
    return made;
  }

  ragged_shape shape_;
  fe::graph::Graph graph_;
  graph_tensor lengths_;
  graph_tensor offsets_;
  graph_tensor output_offsets_;
  graph_tensor log_sum_offsets_;
};

void require_newer_gpu() {
  int device = 0;
  int major = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess ||
      major < 9)
    throw std::runtime_error(
        "attention by cuDNN: needs a GPU of compute capability 9.0 or newer, leave --attention "
        "cudnn out");
}

[[nodiscard]] fe::graph::Graph graph_of(attention_pass pass, const ragged_shape& shape) {
  ragged_graph made(shape);
  return pass == attention_pass::forward ? std::move(made).forward() : std::move(made).backward();
}

}  // namespace

struct cudnn_attention::plans {
  cudnnHandle_t handle = nullptr;
  std::map<std::pair<attention_pass, ragged_shape>, fe::graph::Graph> made = {};

  [[nodiscard]] fe::graph::Graph& of(attention_pass pass, const ragged_shape& shape) {
    const std::pair key(pass, shape);
    if (const auto found = made.find(key); found != made.end()) return found->second;
    fe::graph::Graph graph = graph_of(pass, shape);
    require(graph.build(handle, {fe::HeurMode_t::A}));
    return made.emplace(key, std::move(graph)).first->second;
  }
};

cudnn_attention::cudnn_attention(cudaStream_t stream) : plans_(std::make_unique<plans>()) {
  require_newer_gpu();
  require(cudnnCreate(&plans_->handle));
  require(cudnnSetStream(plans_->handle, stream));
}

cudnn_attention::~cudnn_attention() { static_cast<void>(cudnnDestroy(plans_->handle)); }

std::size_t cudnn_attention::workspace_bytes(attention_pass pass, const ragged_shape& shape) {
  std::int64_t bytes = 0;
  require(plans_->of(pass, shape).get_workspace_size(bytes));
  return static_cast<std::size_t>(bytes);
}

void cudnn_attention::run(attention_pass pass, const ragged_shape& shape, const ragged_rows& rows,
                          const ragged_tensors& tensors, void* workspace) {
  std::unordered_map<std::int64_t, void*> memory = {
      {lengths_id, rows.lengths},          {offsets_id, rows.of_queries_keys},
      {output_offsets_id, rows.of_output}, {log_sum_offsets_id, rows.of_log_sums},
      {queries_id, tensors.queries},       {keys_id, tensors.keys},
      {values_id, tensors.values},         {output_id, tensors.output},
      {log_sums_id, tensors.log_sums},
  };
  if (pass == attention_pass::backward)
    memory.insert({{output_gradient_id, tensors.output_gradient},
                   {query_gradient_id, tensors.query_gradient},
                   {key_gradient_id, tensors.key_gradient},
                   {value_gradient_id, tensors.value_gradient}});
  require(plans_->of(pass, shape).execute(plans_->handle, memory, workspace));
}

}  // namespace omnibal::trainer::detail
