// SPDX-License-Identifier: Apache-2.0
// A store, a kernel and an index, made to fit each other. Everyone who needs an index makes it
// here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "core/decay.h"
#include "core/index.h"
#include "core/metric.h"
#include "core/options.h"
#include "core/registry.h"
#include "core/result.h"
#include "core/row_pages.h"

namespace engram {

/// What VNEW chose.
struct IndexSpec {
  std::size_t dim;
  Metric metric;
  const Primitive* primitive;
  Options options;                      ///< parsed against primitive->create_options
  std::string kernel_name = "auto";     ///< as make_kernel takes it
  Decay decay = {};                     ///< of the strengths that the index will be given as a bias
  double measured_share = 0;            ///< of searches that are repeated exactly; the engine's
  RowsPlace rows = RowsPlace::kMemory;  ///< the engine's, which hands make_index() pages
};

/// An index and what it is built on. Store and kernel outlive the index, also when another is
/// assigned over it.
struct OwnedIndex {
  OwnedIndex() = default;
  OwnedIndex(OwnedIndex&&) = default;
  OwnedIndex& operator=(OwnedIndex&& other) noexcept {
    index = std::move(other.index);
    kernel = std::move(other.kernel);
    store = std::move(other.store);
    return *this;
  }

  std::shared_ptr<VectorStore> store;  ///< shared with those who were handed rows of it
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<Index> index;
};

/// An empty store of what the primitive keeps, the kernel for it, and an empty index on both.
/// Errors: kInvalidArgument for a dimension that the primitive or engram does not take, for a decay
/// where the primitive takes no bias, for an unknown kernel, and those of Primitive::create;
/// kResourceExhausted. pages: as VectorStore::create takes them.
Result<OwnedIndex> make_index(const IndexSpec& spec, std::unique_ptr<RowPages> pages = nullptr);

}  // namespace engram
