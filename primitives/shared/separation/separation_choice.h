// SPDX-License-Identifier: Apache-2.0
// The option SEP: which separation, with which parameters.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "core/options.h"
#include "core/recall.h"
#include "primitives/shared/separation/separation.h"

namespace engram {

/// SEP with the names of all separations, followed by the options of each. Call from
/// Primitive::complete, when all have registered.
std::span<const OptionSpec> separation_options();

/// A separation and parameters; by default softmax, and every parameter at its default.
class SeparationChoice {
 public:
  SeparationChoice();

  /// Takes what `options`, whose schema has separation_options(), gives. The others stay: a
  /// parameter may be given with the index and its separation with the recall.
  void read(const Options& options);

  /// Takes a number that append_to() appended, perhaps long ago; passes over any other.
  void read(std::string_view name, double number);
  /// Appends the separation and all parameters as numbers with names.
  void append_to(Tuning& tuning) const;

  std::unique_ptr<Separation> make() const { return spec_->make(parameters()); }

  /// Whether they choose the same separation with the same parameters of its own.
  friend bool operator==(const SeparationChoice& a, const SeparationChoice& b) noexcept;

 private:
  /// Those of the chosen one.
  std::span<const double> parameters() const noexcept;

  const SeparationSpec* spec_;
  std::vector<double> values_;  // of separation_options() behind SEP
};

}  // namespace engram
