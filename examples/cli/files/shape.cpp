// SPDX-License-Identifier: Apache-2.0
#include "files/shape.hpp"

#include <algorithm>
#include <limits>

#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

#include "files/json.hpp"
#include "files/known_keys.hpp"

namespace omnibal::cli {
namespace {

/// Reads a description, with messages that name column and field.
class shape_reader {
 public:
  explicit shape_reader(const std::string& path) : path_(path) {}

  std::vector<column_shape> read() {
    const json file = read_json_file("--shape", path_);
    if (!file.is_object() || !file.contains("columns")) refuse("columns", file, "is missing");
    expect_known_keys(file, path_, {"columns"});
    const json& columns = file["columns"];
    if (!columns.is_array() || columns.empty())
      refuse("columns", columns, "must be a list of columns");
    for (const json& column : columns) read_column(column);
    return std::move(shape_);
  }

 private:
  void read_column(const json& column) {
    where_ = "columns[" + std::to_string(shape_.size()) + "]";
    if (!column.is_object()) refuse("", column, "must be an object with a name and buckets");
    expect_known_keys(column, path_ + ": " + where_, {"buckets", "plus"});
    column_shape added{.name = read_name(column), .buckets = read_buckets(column)};
    if (column.contains("plus")) added.shares = read_shares(column["plus"]);
    std::uint64_t total = 0;
    for (const bucket& some : added.buckets) total += some.weight;
    if (total == 0 || total > std::numeric_limits<std::uint32_t>::max())
      refuse(".buckets", column["buckets"], "must have weights that sum to 1 ... 4294967295");
    added.total_weight = static_cast<std::uint32_t>(total);
    most_.push_back(greatest_value(added));
    shape_.push_back(std::move(added));
  }

  std::string read_name(const json& column) const {
    const json given = column.value("name", json());
    if (!given.is_string() || given == "") refuse(".name", given, "must be the name of a column");
    const auto name = given.get<std::string>();
    if (find_column(name) != shape_.size()) refuse(".name", name, "is already taken");
    return name;
  }

  std::vector<bucket> read_buckets(const json& column) const {
    const json buckets = column.value("buckets", json());
    if (!buckets.is_array() || buckets.empty())
      refuse(".buckets", buckets, "must be a list of [least, most, weight]");
    std::vector<bucket> list;
    for (const json& entry : buckets) {
      if (!entry.is_array() || entry.size() != 3)
        refuse(".buckets", entry, "must be [least, most, weight]");
      constexpr std::int64_t widest = std::numeric_limits<std::uint32_t>::max();
      const std::int64_t least = read_integer(".buckets: least", entry[0], limit);
      const std::int64_t most = read_integer(".buckets: most", entry[1], limit);
      const std::int64_t weight = read_integer(".buckets: weight", entry[2], widest);
      if (most < least || most - least >= widest)
        refuse(".buckets", entry, "must run from its least value to its most, fewer than 2^32");
      list.push_back({least, most, static_cast<std::uint32_t>(weight)});
    }
    return list;
  }

  std::vector<column_share> read_shares(const json& plus) const {
    if (!plus.is_object()) refuse(".plus", plus, "must name columns and their factors");
    std::vector<column_share> shares;
    for (const auto& [name, factor] : plus.items()) {
      const std::size_t column = find_column(name);
      if (column == shape_.size()) refuse(".plus", name, "must be a column described before");
      shares.push_back({column, read_integer(".plus: " + name, factor, limit)});
    }
    return shares;
  }

  /// The largest possible value of a column; throws where it is beyond the limit.
  std::int64_t greatest_value(const column_shape& column) const {
    std::int64_t most = 0;
    for (const bucket& some : column.buckets) most = std::max(most, some.most);
    for (const auto& [other, factor] : column.shares) {
      const auto product = try_multiply(most_[other], factor);
      const auto sum = product ? try_add(most, *product) : std::nullopt;
      if (!sum || *sum > limit) refuse(".plus", column.name, "can grow past 2^62");
      most = *sum;
    }
    return most;
  }

  std::size_t find_column(const std::string& name) const {
    const auto found = std::find_if(shape_.begin(), shape_.end(),
                                    [&](const auto& column) { return column.name == name; });
    return static_cast<std::size_t>(found - shape_.begin());
  }

  std::int64_t read_integer(const std::string& field, const json& value, std::int64_t most) const {
    const bool fits = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most);
    if (!fits) refuse(field, value, "must be an integer from 0 to " + std::to_string(most));
    return value.get<std::int64_t>();
  }

  [[noreturn]] void refuse(const std::string& field, const json& value,
                           const std::string& advice) const {
    throw invalid_input(path_ + ": " + where_ + field, json_text(value).substr(0, 60), advice);
  }

  static constexpr std::int64_t limit = std::int64_t{1} << 62;

  const std::string& path_;
  std::string where_;
  std::vector<column_shape> shape_;
  std::vector<std::int64_t> most_;  ///< The largest possible value of each column.
};

std::int64_t draw(const column_shape& column, random_stream& random) {
  std::uint32_t left = uniform_below(random, column.total_weight);
  for (const bucket& some : column.buckets) {
    if (left < some.weight)
      return some.least +
             uniform_below(random, static_cast<std::uint32_t>(some.most - some.least + 1));
    left -= some.weight;
  }
  return 0;  // not reached: the weights sum to the total
}

}  // namespace

std::vector<column_shape> read_shape(const std::string& path) { return shape_reader(path).read(); }

void draw_row(const std::vector<column_shape>& shape, random_stream& random,
              std::vector<std::int64_t>& values) {
  const std::size_t row = values.size();
  for (const column_shape& column : shape) {
    std::int64_t value = draw(column, random);
    for (const auto& [other, factor] : column.shares) value += factor * values[row + other];
    values.push_back(value);
  }
}

}  // namespace omnibal::cli
