// SPDX-License-Identifier: Apache-2.0
// What a client asks of a recall, as far as a router goes by it.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/recall.h"
#include "core/result.h"
#include "server/hosts/router/layouts.h"

namespace engram::router {

/// What a router has to know of a recall to make it of parts.
struct RecallForm {
  std::vector<std::string> cue = {};      ///< words behind VEC
  std::vector<std::string> options = {};  ///< for the partitions
  std::optional<std::string> mask = {};
  std::vector<CoordinateRange> visible = {};  ///< of a mask
  std::optional<std::size_t> steps = {};
  std::optional<double> tolerance = {};
  std::size_t top = 10;
  bool is_expanding = false;
  bool is_clamped = false;
  bool with_trace = false;
  bool with_raw = false;
  bool with_strength = false;

  [[nodiscard]] std::size_t stride() const noexcept {
    return 2 + std::size_t{with_raw} + std::size_t{with_strength};
  }
};

/// Takes what the router itself goes by from the words of options. False if they are malformed,
/// which a partition says better.
bool read_recall_options(std::span<const std::string> words, RecallForm& form);

/// The vector that begins at argv[at], as words. Where it ends; 0 if it does not.
std::size_t take_cue(const std::vector<std::string>& argv, std::size_t at, RecallForm& form);

/// Whether the option is given for the partitions.
bool gives(const RecallForm& form, std::string_view option);

/// Reads the mask, if there is one: that which hides nothing is none. Errors: kInvalidArgument.
Status settle_mask(RecallForm& form, const Layout& layout);

bool is_lsr(const Layout& layout);

/// Why an index with partitions does not recall so; nothing if it does.
std::optional<Error> why_not(const RecallForm& form, const Layout& layout);

/// The numbers of the cue, which partitions have taken for a vector of `dim`.
std::vector<float> cue_of(const RecallForm& form, std::size_t dim);

}  // namespace engram::router
