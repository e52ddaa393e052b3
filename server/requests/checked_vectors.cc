// SPDX-License-Identifier: Apache-2.0
#include "server/requests/checked_vectors.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/row.h"
#include "core/text.h"
#include "server/durability/change.h"
#include "server/requests/shown.h"

namespace engram {

namespace {

/// Numbers with separators between them, as a person or str() writes a vector. Bytes of float32
/// vectors do not read like that, and digits alone, as redis-benchmark sends, are bytes.
bool is_number_list(std::string_view text) {
  constexpr std::string_view kSeparators = ", ;\t\r\n[]()";
  constexpr std::string_view kFirstBytes = "0123456789-.+ [(";
  constexpr std::size_t kLongestNumber = 32;
  if (text.empty() || kFirstBytes.find(text.front()) == std::string_view::npos) return false;
  std::size_t numbers = 0;
  bool is_separated = false;
  while (!text.empty()) {
    if (kSeparators.find(text.front()) != std::string_view::npos) {
      is_separated = true;
      text.remove_prefix(1);
      continue;
    }
    const std::string_view head = text.substr(0, kLongestNumber);
    const std::size_t end = std::min(head.find_first_of(kSeparators), head.size());
    if (!parse_number<double>(text.substr(0, end))) return false;
    ++numbers;
    text.remove_prefix(end);
  }
  return is_separated && numbers > 1;
}

tl::unexpected<Error> not_packed(const std::string& what, std::size_t dim) {
  return fail(ErrorCode::kInvalidArgument,
              "the vector is " + what + ", expected packed float32, 4 bytes for each of " +
                  std::to_string(dim) + " dimensions, as struct.pack('<" + std::to_string(dim) +
                  "f', ...) or numpy.float32(...).tobytes() make them; numbers in text are given "
                  "as VALUES " +
                  std::to_string(dim) + " and then each by itself");
}

tl::unexpected<Error> wrong_dimension(std::string_view index, std::size_t dim, std::size_t given) {
  return fail(ErrorCode::kInvalidArgument, "vector has " + std::to_string(given) +
                                               " dimensions, index '" + shown(index) + "' has " +
                                               std::to_string(dim));
}

/// Words, and not only digits.
bool is_text(std::string_view bytes) {
  return is_printable(bytes) && bytes.find_first_not_of("0123456789") != std::string_view::npos;
}

}  // namespace

Status check_vector_of(std::string_view index, std::size_t dim, std::span<const float> vector) {
  if (vector.size() != dim) return wrong_dimension(index, dim, vector.size());
  return check_vector(vector);
}

void CheckedVectors::reserve(const IndexRef& index, std::size_t count) {
  values_.reserve(values_.size() + count * index.spec().dim);
}

Status CheckedVectors::add(const IndexRef& index, std::span<const float> vector) {
  return add_bytes(index, packed(vector));
}

Status CheckedVectors::add(const IndexRef& index, std::string_view packed) {
  const std::size_t dim = index.spec().dim;
  if (dim > 1 && is_number_list(packed)) return not_packed("a list of numbers in text", dim);
  if (packed.size() != dim * sizeof(float) && is_text(packed)) {
    return not_packed("the text '" + shown(packed) + "'", dim);
  }
  return add_bytes(index, packed);
}

Status CheckedVectors::add_bytes(const IndexRef& index, std::string_view packed) {
  const std::size_t dim = index.spec().dim;
  if (packed.size() % sizeof(float) != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "vector has " + std::to_string(packed.size()) +
                    " bytes, expected packed float32, 4 bytes for each dimension");
  }
  const auto& projection = index.collection->set().projection;
  if (projection != nullptr && packed.size() == projection->from() * sizeof(float)) {
    return add_projected(*projection, packed);
  }
  if (packed.size() != dim * sizeof(float)) {
    return wrong_dimension(index.name, dim, packed.size() / sizeof(float));
  }
  const std::size_t before = values_.size();
  values_.resize(before + dim);
  std::memcpy(values_.data() + before, packed.data(), packed.size());
  Status checked = check_vector(std::span(values_).subspan(before));
  if (!checked) values_.resize(before);
  return checked;
}

Status CheckedVectors::add_projected(const Projection& projection, std::string_view packed) {
  std::vector<float> vector(projection.from());
  std::memcpy(vector.data(), packed.data(), packed.size());
  ENGRAM_TRY(check_vector(vector));
  const std::size_t before = values_.size();
  values_.resize(before + projection.to());
  const auto projected = std::span(values_).subspan(before);
  projection.apply(vector, projected);
  Status checked = check_vector(projected);
  if (!checked) values_.resize(before);
  return checked;
}

bool CheckedVectors::add_stored(const IndexRef& index, std::string_view key) {
  const auto vector = index.collection->get(key);
  if (vector) values_.insert(values_.end(), vector->begin(), vector->end());
  return vector.has_value();
}

}  // namespace engram
