// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/growth_steps.h"

#include <string>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/hosts/router/new_index.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

constexpr std::size_t kFactor = 2;

Layout in_state(Layout layout, Layout::State state) {
  layout.state = state;
  layout.stored.clear();
  layout.place();
  return layout;
}

void append(std::vector<Placement>& to, const std::vector<Placement>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

Status check_count(const Layout& layout, std::size_t partitions) {
  const std::size_t next = kFactor * layout.partitions;
  if (layout.state == Layout::State::kClearing && partitions == layout.partitions) return {};
  if (partitions != next) {
    return fail(ErrorCode::kInvalidArgument,
                "index '" + layout.index + "' has " + std::to_string(layout.partitions) +
                    " partitions, which become twice as many at a time, got " +
                    std::to_string(partitions));
  }
  if (next <= kMostPartitions) return {};
  return fail(ErrorCode::kInvalidArgument,
              "an index has at most " + std::to_string(kMostPartitions) + " partitions");
}

/// Whether its vectors are codes, of which others would be made than there are.
bool keeps_codes_alone(const Layout& layout) {
  const std::vector<std::string> words = layout.words();
  bool has_codes = false;
  bool has_vectors = true;
  for (std::size_t at = 1; at + 1 < words.size(); at += 2) {
    if (equal_ignoring_case(words[at], "QUANT")) {
      has_codes = !equal_ignoring_case(words[at + 1], "f32");
    }
    if (equal_ignoring_case(words[at], "RERANK")) {
      has_vectors = !equal_ignoring_case(words[at + 1], "none");
    }
  }
  return has_codes && (layout.primitive == "flat" || !has_vectors);
}

}  // namespace

Status check_growth(const Layout& layout, std::size_t partitions) {
  ENGRAM_TRY(check_count(layout, partitions));
  std::vector<std::string> words = layout.words();
  if (words.empty()) {
    return fail(ErrorCode::kUnsupported,
                "index '" + layout.index +
                    "' was made by a router that kept no record of its options, so partitions "
                    "like its own cannot be made");
  }
  words.insert(words.begin(), {"VNEW", layout.index});
  words.insert(words.end(), {"PARTITIONS", std::to_string(partitions)});
  ENGRAM_TRY(read_new_index(words, partitions));
  if (!keeps_codes_alone(layout)) return {};
  return fail(ErrorCode::kUnsupported, "index '" + layout.index +
                                           "' keeps codes without vectors, which cannot be moved "
                                           "as they are");
}

Layout opening_of(const Layout& layout, std::uint64_t now_us) {
  Layout next = layout;
  next.from = {layout.placement()};
  append(next.from, layout.from);
  append(next.away, layout.into);
  next.into.clear();
  next.epoch = layout.epoch_after(now_us);
  next.is_grown = true;
  return in_state(std::move(next), Layout::State::kOpening);
}

Layout growing_of(const Layout& layout) {
  return in_state(layout, Layout::State::kGrowing);
}

Layout aimed_of(const Layout& layout, std::uint64_t now_us) {
  Layout next = layout;
  next.into = {{kFactor * layout.partitions, layout.epoch_after(now_us)}};
  return in_state(std::move(next), Layout::State::kGrowing);
}

Layout closing_of(const Layout& layout, std::uint64_t now_us) {
  Layout next = layout;
  next.from.insert(next.from.begin(), layout.placement());
  next.away.clear();
  next.epoch = layout.epoch_after(now_us);
  return in_state(std::move(next), Layout::State::kClosing);
}

Layout clearing_of(const Layout& layout) {
  Layout next = layout;
  next.partitions = layout.into.front().partitions;
  next.epoch = layout.into.front().epoch;
  next.from.clear();
  next.into.clear();
  next.away = {layout.placement()};
  append(next.away, layout.from);
  return in_state(std::move(next), Layout::State::kClearing);
}

Layout given_up_of(const Layout& layout) {
  Layout next = layout;
  append(next.away, layout.into);
  next.into.clear();
  return in_state(std::move(next), Layout::State::kClearing);
}

Layout ready_of(const Layout& layout) {
  Layout next = layout;
  next.from.clear();
  next.away.clear();
  return in_state(std::move(next), Layout::State::kReady);
}

}  // namespace engram::router
