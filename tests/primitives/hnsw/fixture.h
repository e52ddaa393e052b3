// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "core/bound.h"
#include "core/kernel.h"
#include "core/vector_store.h"
#include "tests/support/vectors.h"

namespace engram::test {

/// Vectors in a store, and the kernel to compare them.
struct Rows {
  Rows(const Vectors& vectors, Metric metric)
      : store(VectorStore::create(vectors.dim, metric).value()),
        kernel(make_kernel("auto", metric, vectors.dim).value()) {
    for (std::size_t i = 0; i < vectors.count(); ++i) {
      store->write(store->allocate().value(), vectors[i]);
    }
  }

  RowView view() const { return {*kernel, store->rows()}; }
  /// Over float32 a row is its own query: the storage is not used.
  Bound to(Slot slot) const {
    AlignedBuffer unused;
    return view().to_slot(slot, unused);
  }

  std::unique_ptr<VectorStore> store;
  std::unique_ptr<Kernel> kernel;
};

}  // namespace engram::test
