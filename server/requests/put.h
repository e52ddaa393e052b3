// SPDX-License-Identifier: Apache-2.0
// Single vectors: put, erase, get.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/requests/checked_vectors.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"
#include "server/requests/strength.h"

namespace engram {

/// Errors: kInvalidArgument for a key that is empty or too long.
Status check_item_key(std::string_view key);

/// Vectors to be stored under their keys, as a whole: all are checked before the first is put. Keys
/// are borrowed until start() returns.
class PutRequest {
 public:
  explicit PutRequest(IndexRef index) : index_(std::move(index)) {}

  /// Makes room for `count` items.
  void reserve(std::size_t count);

  /// Errors: kInvalidArgument for a key that is empty or too long; those of CheckedVectors::add.
  Status add(std::string_view key, std::span<const float> vector);
  Status add(std::string_view key, std::string_view packed);

  [[nodiscard]] const IndexRef& index() const noexcept { return index_; }
  [[nodiscard]] std::span<const std::string_view> keys() const noexcept { return keys_; }
  /// [keys().size() * dim]
  [[nodiscard]] std::span<const float> vectors() const noexcept { return vectors_.values(); }

  GivenStrength strength = {};  ///< of each item
  /// Of each item: a JSON object, or an empty text for none; nothing: keys keep what they have.
  std::optional<std::string> attributes = {};
  /// The same of item i, in the place of that, for requests of several; empty, or one for each.
  std::vector<std::optional<std::string>> attributes_of_each = {};

  /// Refuses the put, of one item, if something is there already.
  struct Unless {
    float within;                 ///< the distance, in the metric, at which that is near
    std::optional<double> touch;  ///< the gain of strength of what is near; none: it is left alone
  };
  std::optional<Unless> unless = {};

 private:
  IndexRef index_;
  std::vector<std::string_view> keys_;
  CheckedVectors vectors_;
};

/// Takes STRENGTH, AT, HALFLIFE, SETATTR, UNLESS ("WITHIN 0.1") and TOUCH by name. Errors:
/// kInvalidArgument.
Status read_options(std::vector<OptionText> options, PutRequest& request);

/// What the vectors take until they are stored.
std::size_t expected_bytes(const PutRequest& request);

/// Answers how many keys are new. Errors: kResourceExhausted; those of gain_of() and
/// check_attributes(); those of Index::insert, and then the other vectors are stored nevertheless.
void start(Store& store, const PutRequest& request, Responder<std::size_t> responder);

/// What came of a put with PutRequest::unless.
struct Admission {
  bool is_new = false;                   ///< the key is, and was stored
  std::optional<std::string> near = {};  ///< the key of what is near: nothing was stored
};

/// Stores the one item unless another lies near, of all that others store meanwhile, too. Puts that
/// come at once decide in the order in which they came. Errors: as above; those of Index::search().
void start(Store& store, const PutRequest& request, Responder<Admission> responder);

struct EraseRequest {
  IndexRef index;
  std::string_view key;  ///< borrowed until start() returns
};

/// Answers whether the key was there.
void start(Store& store, const EraseRequest& request, Responder<bool> responder);

/// The vector of `key` as it was given (row.h says how exactly), or nothing. Errors: those of
/// find_index().
Result<std::optional<std::vector<float>>> get_vector(Store& store, std::string_view index,
                                                     std::string_view key);

}  // namespace engram
