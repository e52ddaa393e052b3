// SPDX-License-Identifier: Apache-2.0
#include "server/requests/checked_vectors.h"

#include <cstring>
#include <string>

#include "core/row.h"
#include "server/durability/change.h"
#include "server/requests/shown.h"

namespace engram {

void CheckedVectors::reserve(const IndexRef& index, std::size_t count) {
  values_.reserve(values_.size() + count * index.spec().dim);
}

Status CheckedVectors::add(const IndexRef& index, std::span<const float> vector) {
  return add(index, packed(vector));
}

Status CheckedVectors::add(const IndexRef& index, std::string_view packed) {
  const std::size_t dim = index.spec().dim;
  if (packed.size() % sizeof(float) != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "vector has " + std::to_string(packed.size()) +
                    " bytes, expected packed float32, 4 bytes for each dimension");
  }
  if (packed.size() != dim * sizeof(float)) {
    return fail(ErrorCode::kInvalidArgument,
                "vector has " + std::to_string(packed.size() / sizeof(float)) +
                    " dimensions, index '" + shown(index.name) + "' has " + std::to_string(dim));
  }
  const std::size_t before = values_.size();
  values_.resize(before + dim);
  std::memcpy(values_.data() + before, packed.data(), packed.size());
  Status checked = check_vector(std::span(values_).subspan(before));
  if (!checked) values_.resize(before);
  return checked;
}

bool CheckedVectors::add_stored(const IndexRef& index, std::string_view key) {
  const auto vector = index.collection->get(key);
  if (vector) values_.insert(values_.end(), vector->begin(), vector->end());
  return vector.has_value();
}

}  // namespace engram
