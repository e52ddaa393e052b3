// SPDX-License-Identifier: Apache-2.0
#include "server/filters/column.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/json/json.h"

namespace engram {
namespace {

static_assert(std::is_trivially_copyable_v<Cell>);

/// The value of `field` in the object `root`.
std::optional<JsonValue> find_field(JsonValue value, std::string_view field) {
  for (;;) {
    const std::size_t dot = field.find('.');
    const auto found = value.member(field.substr(0, dot));
    if (!found || dot == std::string_view::npos) return found;
    value = *found;
    field.remove_prefix(dot + 1);
  }
}

Result<Cell> make_cell(Column& column, const JsonValue& value);

Result<Cell> make_list_cell(Column& column, const JsonValue& value) {
  std::vector<Cell> cells;
  Status status;
  value.for_each_item([&](const JsonValue& item) {
    if (!status) return;
    const auto cell = make_cell(column, item);
    if (cell) {
      cells.push_back(*cell);
    } else {
      status = tl::unexpected(cell.error());
    }
  });
  ENGRAM_TRY(std::move(status));
  return column.make_list(cells);
}

Result<Cell> make_cell(Column& column, const JsonValue& value) {
  switch (value.kind()) {
    case JsonKind::kNull:
      return Cell::null();
    case JsonKind::kFalse:
      return Cell::boolean(false);
    case JsonKind::kTrue:
      return Cell::boolean(true);
    case JsonKind::kNumber:
      return Cell::number(value.number());
    case JsonKind::kString:
      return column.make_string(value.string());
    case JsonKind::kArray:
      return make_list_cell(column, value);
    default:
      return Cell::object();
  }
}

}  // namespace

double spelled_number(std::string_view text) noexcept {
  // Redis reads as numbers what is shorter than this.
  constexpr std::size_t kMostBytes = 256;
  if (text.size() >= kMostBytes || text.find('\0') != std::string_view::npos) return 0;
  char copy[kMostBytes];
  text.copy(copy, text.size());
  copy[text.size()] = '\0';
  char* end = nullptr;
  const double number = std::strtod(copy, &end);
  return end == copy + text.size() ? number : 0;
}

void Column::read(Slot first, std::span<std::uint64_t> bits) const noexcept {
  const std::size_t ready = cells_.ready();
  const std::size_t held = first < ready ? std::min(bits.size(), ready - first) : 0;
  if (held == 0) return std::fill(bits.begin(), bits.end(), 0);
  const std::atomic<std::uint64_t>* const cells = &cells_[first];
  if (&cells_[first + held - 1] == cells + held - 1) {
    for (std::size_t i = 0; i < held; ++i) bits[i] = cells[i].load(std::memory_order_acquire);
  } else {
    for (std::size_t i = 0; i < held; ++i) {
      bits[i] = cells_[first + i].load(std::memory_order_acquire);
    }
  }
  std::fill(bits.begin() + static_cast<std::ptrdiff_t>(held), bits.end(), 0);
}

Column::List Column::list(Cell cell) const noexcept {
  const std::string_view bytes = lists_.text(cell.code());
  const auto* const cells = reinterpret_cast<const Cell*>(bytes.data());
  const std::size_t members = bytes.size() / sizeof(Cell) - 1;
  return {{cells, members}, cells[members] == Cell::object()};
}

Cell Column::find(std::string_view string) const {
  const auto code = strings_.find(string);
  return code ? Cell::string(*code) : Cell();
}

std::size_t Column::memory_bytes() const noexcept {
  return sizeof(Column) + cells_.ready_bytes() + spelled_.ready_bytes() + dictionary_bytes();
}

Result<Cell> Column::make_string(std::string_view text) {
  if (const Cell known = find(text); !known.is_missing()) return known;
  // First, because who meets the code asks for it.
  const std::uint32_t next = strings_.size();
  ENGRAM_TRY(spelled_.ensure(std::size_t{next} + 1));
  spelled_[next] = spelled_number(text);
  const auto code = strings_.add(text);
  if (!code) return tl::unexpected(code.error());
  return Cell::string(*code);
}

Result<Cell> Column::make_list(std::span<const Cell> members) {
  bool has_object = false;
  for (const Cell cell : members) {
    has_object |= cell.kind() == CellKind::kObject;
    has_object |= cell.kind() == CellKind::kList && list(cell).has_object;
  }
  std::vector<Cell> cells(members.begin(), members.end());
  cells.push_back(has_object ? Cell::object() : Cell());
  const auto code =
      lists_.add({reinterpret_cast<const char*>(cells.data()), cells.size() * sizeof(Cell)});
  if (!code) return tl::unexpected(code.error());
  return Cell::list(*code);
}

struct AttributeReader::Parser {
  JsonReader reader;
};

AttributeReader::AttributeReader() : parser_(std::make_unique<Parser>()) {}
AttributeReader::~AttributeReader() = default;

Status AttributeReader::store(std::span<Column* const> columns, Slot slot,
                              std::string_view attributes) {
  std::optional<JsonValue> root;
  if (!attributes.empty()) {
    auto read = parser_->reader.read(attributes);
    if (read && read->kind() == JsonKind::kObject) {
      root = *read;
    } else if (!read && read.error().code == ErrorCode::kResourceExhausted) {
      return tl::unexpected(std::move(read.error()));
    }
  }
  for (Column* const column : columns) {
    Cell cell;
    if (root) {
      if (const auto value = find_field(*root, column->field())) {
        const auto made = make_cell(*column, *value);
        if (!made) return tl::unexpected(made.error());
        cell = *made;
      }
    }
    if (cell.is_missing() && slot >= column->end()) continue;
    ENGRAM_TRY(column->ensure(std::size_t{slot} + 1));
    column->store(slot, cell);
  }
  return {};
}

}  // namespace engram
