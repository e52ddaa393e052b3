// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/layout.h"

#include <algorithm>
#include <array>

#include "core/text.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

constexpr std::array<std::string_view, 7> kStates = {"making",  "ready",   "dropping", "opening",
                                                     "growing", "closing", "clearing"};

/// Takes what stands before the next `separator`, and that.
std::string_view take_word(std::string_view& text, char separator = ' ') {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

bool is_count(std::size_t partitions) {
  return partitions >= 1 && partitions <= kMostPartitions;
}

/// partitions:epoch,partitions:epoch...
bool set_placements(std::vector<Placement>& placements, std::string_view value) {
  placements.clear();
  while (!value.empty()) {
    std::string_view epoch = take_word(value, ',');
    const auto partitions = parse_number<std::size_t>(take_word(epoch, ':'));
    const auto number = parse_number<std::uint64_t>(epoch);
    if (!partitions || !number || !is_count(*partitions)) return false;
    placements.push_back({*partitions, *number});
  }
  return true;
}

bool set_field(Layout& layout, std::string_view name, std::string_view value) {
  const auto set_number = [value](auto& field) {
    const auto number = parse_number<std::uint64_t>(value);
    if (number) field = *number;
    return number.has_value();
  };
  if (name == "dim") return set_number(layout.dim);
  if (name == "partitions") return set_number(layout.partitions);
  if (name == "epoch") return set_number(layout.epoch);
  if (name == "steps") return set_number(layout.steps.emplace());
  if (name == "tol") {
    layout.tolerance = parse_number<double>(value);
    return layout.tolerance.has_value();
  }
  if (name == "mode") layout.is_clamped = value == "clamp";
  if (name == "metric") layout.metric = value;
  if (name == "primitive") layout.primitive = value;
  if (name == "made") layout.made = value;
  if (name == "grown") layout.is_grown = true;
  if (name == "from") return set_placements(layout.from, value);
  if (name == "into") return set_placements(layout.into, value);
  if (name == "away") return set_placements(layout.away, value);
  if (name != "state") return true;  // what a later version has to say
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (value != kStates[i]) continue;
    layout.state = static_cast<Layout::State>(i);
    return true;
  }
  return false;
}

std::string placements_text(std::string_view name, const std::vector<Placement>& placements) {
  std::string text;
  for (const Placement& placement : placements) {
    text += (text.empty() ? " " + std::string(name) + " " : ",") +
            std::to_string(placement.partitions) + ":" + std::to_string(placement.epoch);
  }
  return text;
}

/// Whether what a state is about is told.
bool is_complete(const Layout& layout) {
  if (!is_count(layout.partitions) || layout.into.size() > 1) return false;
  if (layout.is_between() && layout.from.empty()) return false;
  return layout.state != Layout::State::kClosing || layout.into.size() == 1;
}

}  // namespace

void Layout::place() {
  keys.clear();
  slots.clear();
  for (std::size_t p = 0; p < partitions; ++p) {
    keys.push_back(partition_key(index, partition_tag(p, partitions), epoch));
    slots.push_back(slot_of(keys.back()));
  }
}

Layout Layout::at(const Placement& placement) const {
  Layout other = *this;
  other.partitions = placement.partitions;
  other.epoch = placement.epoch;
  other.place();
  return other;
}

std::vector<Placement> Layout::placements() const {
  std::vector<Placement> all = {placement()};
  for (const auto* const more : {&from, &into, &away}) {
    all.insert(all.end(), more->begin(), more->end());
  }
  return all;
}

std::uint64_t Layout::epoch_after(std::uint64_t now_us) const {
  std::uint64_t after = now_us;
  for (const Placement& placement : placements()) after = std::max(after, placement.epoch + 1);
  return after;
}

std::string Layout::text_in(State other) const {
  std::string more;
  if (steps) more += " steps " + std::to_string(*steps);
  if (tolerance) more += " tol " + number_text(*tolerance);
  if (is_clamped) more += " mode clamp";
  if (!made.empty()) more += " made " + made;
  if (is_grown) more += " grown 1";
  more +=
      placements_text("from", from) + placements_text("into", into) + placements_text("away", away);
  return "dim " + std::to_string(dim) + " metric " + metric + " primitive " + primitive +
         " partitions " + std::to_string(partitions) + " epoch " + std::to_string(epoch) + more +
         " state " + std::string(kStates[static_cast<std::size_t>(other)]);
}

std::vector<std::string> Layout::words() const {
  std::vector<std::string> words;
  std::string_view rest = made;
  while (!rest.empty()) words.emplace_back(take_word(rest, ','));
  return words;
}

Result<Layout> Layout::parse(std::string_view index, std::string_view text) {
  Layout layout;
  layout.index = index;
  layout.stored = text;
  bool is_sound = true;
  while (!text.empty()) {
    const std::string_view name = take_word(text);
    is_sound = set_field(layout, name, take_word(text)) && is_sound;
  }
  if (!is_sound || !is_complete(layout)) {
    return fail(ErrorCode::kDataLoss, "the key " + meta_key(index) + " holds no layout");
  }
  layout.place();
  return layout;
}

std::string notes_key(std::string_view partition_key) {
  return std::string(partition_key) + ":written";
}

Status check_index_name(std::string_view index) {
  if (index.find_first_of("{}") == std::string_view::npos && !index.empty()) return {};
  return fail(
      ErrorCode::kInvalidArgument,
      "an index behind a router has a name without braces, got '" + std::string(index) + "'");
}

Error no_such_index(std::string_view index) {
  return {ErrorCode::kNotFound, "no such index '" + std::string(index) + "'"};
}

}  // namespace engram::router
