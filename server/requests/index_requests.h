// SPDX-License-Identifier: Apache-2.0
// Indexes as a whole: make, drop and list them. All are done when they return.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/decay.h"
#include "core/options.h"
#include "core/result.h"
#include "core/row.h"
#include "core/row_pages.h"
#include "server/engine/store.h"
#include "server/requests/arguments.h"
#include "server/requests/index_ref.h"

namespace engram {

inline constexpr CountArgument kIndexDimension = {"dimension", 1, kMaxDimension};

struct NewIndexRequest {
  std::string_view name;
  std::size_t dim;  ///< kIndexDimension
  std::string_view metric = "cosine";
  std::string_view primitive = "hnsw";
  std::vector<OptionText> options = {};  ///< of Primitive::create_options
  Decay decay = {};
  double measured_share = 0;  ///< of searches, to be repeated exactly: 0 to 1
  RowsPlace rows = RowsPlace::kMemory;
  /// Of RowsPlace::kFile, which is for stores in memory. What is put is to be its rows, in their
  /// order; what is not lies in memory.
  FileOfRows rows_file = {};
};

/// Takes METRIC, PRIMITIVE, DECAY (with its number behind a space), OMEGA, CLOCK, REINFORCE,
/// MERGE, FLOOR, BUDGET, BUDGETBYTES, EVERY, MEASURE and ROWS by name; what is left are options of
/// the primitive. Errors: kInvalidArgument.
Status read_options(std::vector<OptionText> options, NewIndexRequest& request);

/// Whether an index may be made under `name`. create_index() asks this, too; a door may before it
/// reads the rest. Errors: kWrongType for a string, kAlreadyExists.
Status check_index_name(Store& store, std::string_view name);

/// Makes an empty index that no key holds yet. Errors: those of Collection::create;
/// kInvalidArgument.
Result<IndexRef> make_index(Store& store, const NewIndexRequest& request);

/// Makes an empty index. Errors: those of check_index_name() and Collection::create;
/// kInvalidArgument.
Status create_index(Store& store, const NewIndexRequest& request);

/// Removes an index with all that it holds, damaged or not. Errors: kNotFound, kWrongType.
Status drop_index(Store& store, std::string_view name);

/// The names of all indexes, in order.
std::vector<std::string> list_indexes(Store& store);

}  // namespace engram
