// SPDX-License-Identifier: Apache-2.0
// Sketches of rows: what they have along their 32 principal axes. The distance between two sketches
// is never more than that between the rows, and of images it is most of it, so that of all pairs
// only those that are near need be measured at full length.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "core/aligned_buffer.h"
#include "core/groups/ordered_rows.h"
#include "core/kernel.h"
#include "core/result.h"

namespace engram {

struct alignas(kRowAlignment) Sketch {
  static constexpr std::size_t kAxes = 32;
  std::array<float, kAxes> along;  // zeros behind the last axis
};
static_assert(sizeof(Sketch) == row_bytes(Sketch::kAxes));

/// Sketches of some rows, made in steps. Threads: one at a time; when it is complete, any.
class Sketches {
 public:
  /// `rows` outlives it. Errors: those of make_kernel().
  static Result<std::unique_ptr<Sketches>> create(const OrderedRows& rows, std::string_view kernel);

  /// Does the next step. False: it was the last one.
  bool step();
  [[nodiscard]] std::size_t done() const noexcept { return done_; }

  [[nodiscard]] const OrderedRows& rows() const noexcept { return rows_; }
  [[nodiscard]] const Sketch& of(std::size_t row) const noexcept { return sketches_[row]; }
  [[nodiscard]] std::span<const Sketch> all() const noexcept { return sketches_; }

  /// The greatest score() of sketches whose rows, or means of rows, are within `distance`.
  [[nodiscard]] float limit(double distance) const noexcept;
  /// scores[i]: of `query` and others[i], ascending with their distance.
  void score(const Sketch& query, std::span<const Sketch> others,
             std::span<float> scores) const noexcept {
    coarse_->scan({reinterpret_cast<const std::byte*>(&query)},
                  reinterpret_cast<const std::byte*>(others.data()), scores);
  }

  /// squares[i] = the squared distance of two float32 rows, padded.
  void measure(const std::byte* query, std::span<const std::byte* const> others,
               std::span<double> squares) const noexcept;

 private:
  explicit Sketches(const OrderedRows& rows) : rows_(rows) {}

  void find_axes();
  void sketch_some();

  const OrderedRows& rows_;
  std::unique_ptr<Kernel> coarse_;   // between sketches
  std::unique_ptr<Kernel> exact_;    // between rows
  std::unique_ptr<Kernel> product_;  // of axes and rows
  std::size_t axes_ = 0;             // 0: not found yet
  AlignedBuffer axis_rows_;          // [axes_], as rows
  std::vector<Sketch> sketches_;
  std::size_t done_ = 0;
  double longest_ = 0;  // of the rows
};

}  // namespace engram
