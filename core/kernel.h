// SPDX-License-Identifier: Apache-2.0
// What distance computation is: one prepared query against a batch of rows. A Kernel knows nothing
// of slots, blocks or files; bound.h joins it to a store.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/element.h"
#include "core/metric.h"
#include "core/result.h"

namespace engram {

/// A query in the form that its kernel wants. Borrows memory: that of the AlignedBuffer it was
/// prepared in, or a stored row's. For the kernels of make_kernel() it is the vector as a float32
/// row (row.h), whatever the element of the rows; where those are codes, query_bytes(dim) from
/// there on can be read.
struct Query {
  const std::byte* data = nullptr;
};

/// Scores rows against a query. Chosen once per collection from the metric, the dimension, the
/// element and the instruction set; crossed once per block or neighbour list, never per pair.
/// Implementations share the query's loads between several rows and prefetch the rows ahead.
/// Immutable after construction, so any number of threads may share one.
///
/// Rows are `row_bytes()` long, see row.h and codes.h; they start on multiples of 4 bytes (a
/// VectorStore gives 64, a snapshot or a test may give less).
class Kernel {
 public:
  virtual ~Kernel() = default;

  /// "scalar", or the Highway target: "AVX3_DL", "AVX2", "SSE4", "NEON"...
  virtual std::string_view name() const noexcept = 0;

  /// Makes `vector` ([dim], already checked by check_vector) a query: normalised under cosine, zero
  /// padded. The result borrows `storage` until its next use.
  virtual Query prepare(std::span<const float> vector, AlignedBuffer& storage) const = 0;

  /// out[i] = score(query, *rows[i]). rows and out: [n], any n. No allocation, no failure.
  virtual void gather(Query query, std::span<const std::byte* const> rows,
                      std::span<float> out) const noexcept = 0;

  /// gather() for those who need only scores up to `limit`, which is not NaN: of a row whose score
  /// is greater, out[i] may be any number greater than `limit`.
  virtual void gather_within(Query query, std::span<const std::byte* const> rows, float /*limit*/,
                             std::span<float> out) const noexcept {
    gather(query, rows, out);
  }

  /// out[i] = score(query, row i) for out.size() rows that lie row_bytes() apart from `rows` on.
  virtual void scan(Query query, const std::byte* rows, std::span<float> out) const noexcept = 0;

  /// A stored row as a query. The result borrows `row`, and `storage` until its next use.
  virtual Query from_row(const std::byte* row, AlignedBuffer& storage) const = 0;
};

/// Makes the kernel called `name` for `metric` over rows of `dim` components of `element`. Of codes
/// it scores the vector that they stand for.
/// name: "auto" (the best of this machine), "scalar" (the oracle: plain loops, double sums), or one
/// of kernel_names(), in any letter case. Errors: kInvalidArgument listing the names there are.
Result<std::unique_ptr<Kernel>> make_kernel(std::string_view name, Metric metric, std::size_t dim,
                                            Element element = Element::kF32);

/// Makes a kernel for those who look for good rows and score them again: over rows of codes it
/// rounds the query to codes as well, and is as cheap as they allow. Its estimates have the same
/// bits on every instruction set. Over float32 there is nothing cheaper than make_kernel()'s.
/// element: not kF32. axis: what rows are coded along (codes.h), [dim], copied, or nothing.
/// Otherwise as make_kernel(), but its queries are good for it alone.
Result<std::unique_ptr<Kernel>> make_estimator(std::string_view name, Metric metric,
                                               std::size_t dim, Element element,
                                               std::span<const float> axis = {});

/// Every name that make_kernel takes on this machine, "auto" and "scalar" first.
std::vector<std::string> kernel_names();

}  // namespace engram
