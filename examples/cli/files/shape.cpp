// SPDX-License-Identifier: Apache-2.0
#include "files/shape.hpp"

#include <algorithm>
#include <limits>

#include <omnibal/core/error.hpp>

#include "files/given_names.hpp"
#include "files/json.hpp"
#include "files/known_keys.hpp"

namespace omnibal::cli {
namespace {

/// Reads a description, with messages that name column and field.
class shape_reader {
 public:
  explicit shape_reader(const std::string& path) : path_(path) {}

  std::vector<length_column> read() {
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
    length_column added{.name = read_name(column), .buckets = read_buckets(column)};
    if (column.contains("plus")) added.shares = read_shares(column["plus"]);
    shape_.push_back(std::move(added));
  }

  std::string read_name(const json& column) const {
    const json given = column.value("name", json());
    if (!given.is_string() || given == "") refuse(".name", given, "must be the name of a column");
    return given.get<std::string>();
  }

  std::vector<length_bucket> read_buckets(const json& column) const {
    const json buckets = column.value("buckets", json());
    if (!buckets.is_array() || buckets.empty())
      refuse(".buckets", buckets, "must be a list of [least, most, weight]");
    std::vector<length_bucket> list;
    for (const json& entry : buckets) {
      if (!entry.is_array() || entry.size() != 3)
        refuse(".buckets", entry, "must be [least, most, weight]");
      constexpr std::int64_t widest = std::numeric_limits<std::uint32_t>::max();
      const std::int64_t least = read_integer(".buckets: least", entry[0], limit);
      const std::int64_t most = read_integer(".buckets: most", entry[1], limit);
      const std::int64_t weight = read_integer(".buckets: weight", entry[2], widest);
      list.push_back({least, most, static_cast<std::uint32_t>(weight)});
    }
    return list;
  }

  std::vector<length_share> read_shares(const json& plus) const {
    if (!plus.is_object()) refuse(".plus", plus, "must name columns and their factors");
    std::vector<length_share> shares;
    for (const auto& [name, factor] : plus.items()) {
      const std::size_t column = find_column(name);
      if (column == shape_.size()) refuse(".plus", name, "must be a column described before");
      shares.push_back({column, read_integer(".plus: " + name, factor, limit)});
    }
    return shares;
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
  std::vector<length_column> shape_;
};

}  // namespace

std::vector<length_column> read_shape(const std::string& path) {
  std::vector<length_column> shape = shape_reader(path).read();
  with_given_names(shape_keys(), path + ": ", [&] { validate(shape); });
  return shape;
}

}  // namespace omnibal::cli
