// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/recall_form.h"

#include <cstring>
#include <utility>

#include "core/metric.h"
#include "core/text.h"
#include "server/hosts/router/commands.h"
#include "server/requests/mask.h"

namespace engram::router {
namespace {

constexpr std::size_t kMostSteps = 10'000;

}  // namespace

bool read_recall_options(std::span<const std::string> words, RecallForm& form) {
  for (std::size_t at = 0; at < words.size();) {
    const std::string& word = words[at];
    const auto is = [&word](std::string_view name) { return equal_ignoring_case(word, name); };
    bool* const flag = is("WITHTRACE")      ? &form.with_trace
                       : is("WITHRAW")      ? &form.with_raw
                       : is("WITHSTRENGTH") ? &form.with_strength
                                            : nullptr;
    if (flag != nullptr) {
      *flag = true;
      if (flag != &form.with_trace) form.options.push_back(word);
      ++at;
      continue;
    }
    if (at + 1 == words.size()) return false;
    const std::string& value = words[at + 1];
    at += 2;
    if (is("STEPS")) {
      form.steps = parse_number<std::size_t>(value);
      if (!form.steps || *form.steps > kMostSteps) return false;
      continue;
    }
    if (is("MASK")) {
      form.mask = value;
      continue;
    }
    if (is("TOP")) {
      const auto top = parse_number<std::size_t>(value);
      if (!top) return false;
      form.top = *top;
    }
    if (is("TOL")) form.tolerance = parse_number<double>(value);
    if (is("MODE")) form.is_clamped = equal_ignoring_case(value, "clamp");
    if (is("OUTSIDE")) form.is_expanding = equal_ignoring_case(value, "expand");
    form.options.push_back(word);
    form.options.push_back(value);
  }
  return true;
}

std::size_t take_cue(const std::vector<std::string>& argv, std::size_t at, RecallForm& form) {
  const std::size_t end = end_of_vector(argv, at);
  if (end == 0) return 0;
  form.cue.assign(argv.begin() + static_cast<std::ptrdiff_t>(at),
                  argv.begin() + static_cast<std::ptrdiff_t>(end));
  return end;
}

bool gives(const RecallForm& form, std::string_view option) {
  return is_any_ignoring_case(
      option, std::vector<std::string_view>(form.options.begin(), form.options.end()));
}

Status settle_mask(RecallForm& form, const Layout& layout) {
  if (!form.mask) return {};
  auto ranges = read_mask(*form.mask, layout.index, layout.dim);
  if (!ranges) return tl::unexpected<Error>(ranges.error());
  form.visible = std::move(*ranges);
  const bool hides_nothing = form.visible.size() == 1 && form.visible.front().begin == 0 &&
                             form.visible.front().end == layout.dim;
  if (hides_nothing) form.mask.reset();
  return {};
}

bool is_lsr(const Layout& layout) {
  return layout.primitive == "lsr";
}

std::optional<Error> why_not(const RecallForm& form, const Layout& layout) {
  if (layout.primitive == "dam") {
    return needs_whole_index("a recall of primitive dam, whose energy is no sum over the items,");
  }
  // Its state is no unit vector, and the cue of the next step would be one.
  if (is_lsr(layout) && layout.metric == metric_name(Metric::kCosine)) {
    return needs_whole_index("a recall of primitive lsr under cosine");
  }
  if (form.is_expanding) return needs_whole_index("OUTSIDE expand");
  if (gives(form, "TOUCH")) return needs_whole_index("TOUCH");
  if (!form.mask) return std::nullopt;
  if (form.is_clamped) return needs_whole_index("MASK with MODE clamp");
  if (form.with_raw) return needs_whole_index("MASK with WITHRAW");
  return std::nullopt;
}

std::vector<float> cue_of(const RecallForm& form, std::size_t dim) {
  const std::vector<std::string>& words = form.cue;
  std::vector<float> cue(dim);
  if (words.size() == 1 && words[0].size() == dim * sizeof(float)) {
    std::memcpy(cue.data(), words[0].data(), words[0].size());
  }
  for (std::size_t i = 0; i < dim && i + 2 < words.size(); ++i) {
    cue[i] = parse_number<float>(words[i + 2]).value_or(0);
  }
  return cue;
}

}  // namespace engram::router
