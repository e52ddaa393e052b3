// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/engine/collection.h"
#include "server/engine/store.h"

namespace engram {

/// The index that a request is about, looked up once. It stays usable if its name is dropped or
/// taken by another meanwhile.
struct IndexRef {
  std::string name;  ///< for errors
  std::shared_ptr<Collection> collection;

  [[nodiscard]] const IndexSpec& spec() const noexcept { return collection->spec(); }

  /// See Collection::check_soundness(). Any thread.
  [[nodiscard]] Status check_soundness() const { return collection->check_soundness(name); }
};

/// Whether what is said of an index that is missing tells how to make one: not to who asks for
/// something in it, or wants to be rid of it.
enum class Missing : bool { kToBeMade, kGone };

/// Errors: kNotFound, kWrongType for a string, kDataLoss if the index is damaged.
Result<IndexRef> find_index(Store& store, std::string_view name,
                            Missing missing = Missing::kToBeMade);

/// As find_index(), for a request that does not look inside: a damaged index will do.
Result<IndexRef> find_any_index(Store& store, std::string_view name,
                                Missing missing = Missing::kToBeMade);

/// As find_index(), for a request that looks for the numbers that an index recalls by, or searches
/// by if it is not exact. Errors: as find_recalling_index().
Result<IndexRef> find_tunable_index(Store& store, std::string_view name,
                                    Missing missing = Missing::kToBeMade);

/// As find_index(), for a request that needs Traits::recalls. Errors: kUnsupported, naming the
/// primitives that recall.
Result<IndexRef> find_recalling_index(Store& store, std::string_view name,
                                      Missing missing = Missing::kToBeMade);

}  // namespace engram
