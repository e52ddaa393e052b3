// SPDX-License-Identifier: Apache-2.0
#include "server/requests/mask.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

tl::unexpected<Error> bad_range(std::string_view range, const std::string& what) {
  return fail(ErrorCode::kInvalidArgument, "bad range '" + shown(range) + "' in MASK, " + what);
}

tl::unexpected<Error> too_far(std::string_view range, std::string_view index, std::size_t dim) {
  return bad_range(range, "index '" + shown(index) + "' has " + std::to_string(dim) +
                              " dimensions, counted from 0");
}

std::string text_of(const CoordinateRange& range) {
  return "[" + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
}

/// `7` or `7-9`, ends included.
Result<CoordinateRange> read_range(std::string_view text, std::string_view index, std::size_t dim) {
  const std::size_t dash = text.find('-');
  const auto first = parse_number<std::size_t>(text.substr(0, dash));
  const auto last = dash == text.npos ? first : parse_number<std::size_t>(text.substr(dash + 1));
  if (!first || !last) return bad_range(text, "expected ranges as in 0-391,5,600-700");
  if (*last < *first) return bad_range(text, "it ends before it begins");
  if (*last >= dim) return too_far(text, index, dim);
  return CoordinateRange{*first, *last + 1};
}

/// Sorted, and those that touch made one.
std::vector<CoordinateRange> merged(std::vector<CoordinateRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::vector<CoordinateRange> result;
  for (const CoordinateRange& range : ranges) {
    if (!result.empty() && range.begin <= result.back().end) {
      result.back().end = std::max(result.back().end, range.end);
    } else {
      result.push_back(range);
    }
  }
  return result;
}

}  // namespace

Result<std::vector<CoordinateRange>> merge_mask(std::vector<CoordinateRange> ranges,
                                                std::string_view index, std::size_t dim) {
  for (const CoordinateRange& range : ranges) {
    if (range.end <= range.begin) return bad_range(text_of(range), "it ends before it begins");
    if (range.end > dim) return too_far(text_of(range), index, dim);
  }
  return merged(std::move(ranges));
}

Result<std::vector<CoordinateRange>> read_mask(std::string_view text, std::string_view index,
                                               std::size_t dim) {
  std::vector<CoordinateRange> ranges;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const auto range = read_range(text.substr(0, comma), index, dim);
    if (!range) return tl::unexpected(range.error());
    ranges.push_back(*range);
    // A text may have more than there are coordinates; merged, at most every second begins one.
    if (ranges.size() > dim) ranges = merged(std::move(ranges));
    if (comma == text.size() - 1) return bad_range("", "a range must follow the last comma");
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
  }
  return merged(std::move(ranges));
}

}  // namespace engram
