// SPDX-License-Identifier: Apache-2.0
// The first line is a filter, the others are attributes. A filter that compiles has to tell the
// same of all of them, asked one by one, together, and by word.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "server/filters/column.h"
#include "server/filters/evaluation.h"
#include "server/filters/filter.h"

namespace {

constexpr std::size_t kMostItems = 200;

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto filter = Filter::compile(take_line(text));
  if (!filter) {
    require(!filter.error().message.empty());
    return 0;
  }
  std::vector<std::shared_ptr<Column>> columns;
  std::vector<Column*> written;
  for (const std::string& field : filter->fields()) {
    columns.push_back(std::make_shared<Column>(field));
    written.push_back(columns.back().get());
  }
  AttributeReader reader;
  std::vector<Slot> slots;
  SlotSet items;
  while (!text.empty() && slots.size() < kMostItems) {
    const auto slot = static_cast<Slot>(slots.size());
    require(reader.store(written, slot, take_line(text)).has_value());
    require(items.insert(slot).has_value());
    slots.push_back(slot);
  }
  const BoundFilter bound(std::make_shared<Filter>(std::move(*filter)),
                          BoundFilter::Columns(columns.begin(), columns.end()));
  std::array<bool, kMostItems> accepted;
  bound.select(slots, {accepted.data(), slots.size()});
  SlotSet matching;
  require(matching
              .assign(items, [&](Slot first,
                                 std::uint64_t bits) { return bound.select_word(first, bits); })
              .has_value());
  for (std::size_t i = 0; i < slots.size(); ++i) {
    require(bound.accepts(slots[i]) == accepted[i]);
    require(matching.contains(slots[i]) == accepted[i]);
  }
  return 0;
}
