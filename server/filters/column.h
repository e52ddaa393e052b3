// SPDX-License-Identifier: Apache-2.0
// What a filter is evaluated on: the values of one field, by slot.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/growing_array.h"
#include "core/result.h"
#include "core/slot.h"
#include "server/filters/cell.h"
#include "server/filters/dictionary.h"

namespace engram {

/// The values of a field, by slot. What an overwritten value had in the dictionaries stays there: a
/// column whose dictionary_bytes() have doubled since it was built is best built anew.
///
/// Threads: at(), what belongs to a cell, and the counts any; the others one at a time. Who was
/// told of a slot by a synchronising operation after its store() meets that value or a later one.
class Column {
 public:
  /// The members of a list.
  struct List {
    std::span<const Cell> cells;
    bool has_object;  ///< as a member, or as one of a member
  };

  /// A field within objects has the names of those before its own, and dots between.
  explicit Column(std::string field) : field_(std::move(field)) {}

  [[nodiscard]] const std::string& field() const noexcept { return field_; }

  /// Missing where nothing was stored, wherever the slot is.
  [[nodiscard]] Cell at(Slot slot) const noexcept {
    if (slot >= cells_.ready()) return {};
    return Cell::from_bits(cells_[slot].load(std::memory_order_acquire));
  }
  /// The bits of the cells from `first` on.
  void read(Slot first, std::span<std::uint64_t> bits) const noexcept;
  /// Of a cell of this column, as the following ones.
  [[nodiscard]] std::string_view string(Cell cell) const noexcept {
    return strings_.text(cell.code());
  }
  /// The number that a string spells, by C's strtod(); 0 if it spells none.
  [[nodiscard]] double spelled(Cell cell) const noexcept { return spelled_[cell.code()]; }
  [[nodiscard]] List list(Cell cell) const noexcept;

  /// The cell of a string that some item has had; missing if none has.
  [[nodiscard]] Cell find(std::string_view string) const;

  /// One past the last slot that at() has a place for.
  [[nodiscard]] std::size_t end() const noexcept { return cells_.ready(); }

  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  [[nodiscard]] std::size_t dictionary_bytes() const noexcept {
    return strings_.memory_bytes() + lists_.memory_bytes();
  }

  // Writing.

  /// Makes room for slots below `end`. Errors: kResourceExhausted.
  Status ensure(std::size_t end) { return cells_.ensure(end); }
  /// Of a slot with room; the cell has been made by this column.
  void store(Slot slot, Cell cell) noexcept {
    cells_[slot].store(cell.bits(), std::memory_order_release);
  }

  /// Errors of both: kResourceExhausted.
  Result<Cell> make_string(std::string_view text);
  Result<Cell> make_list(std::span<const Cell> members);

 private:
  const std::string field_;
  GrowingArray<std::atomic<std::uint64_t>> cells_;
  Dictionary strings_;
  GrowingArray<double> spelled_;  // by code of strings_
  Dictionary lists_;              // the bytes of the cells, and a last one: whether it has objects
};

/// The numbers that C's strtod() reads in all of `text`, 0 if it does not.
double spelled_number(std::string_view text) noexcept;

/// Reads attributes into columns. A parser is kept from one text to the next. Threads: one.
class AttributeReader {
 public:
  AttributeReader();
  ~AttributeReader();
  AttributeReader(const AttributeReader&) = delete;
  AttributeReader& operator=(const AttributeReader&) = delete;

  /// Stores in each column what `attributes` has of its field for `slot`, for which it makes room:
  /// nothing of attributes that are empty or no JSON object. Errors: kResourceExhausted.
  Status store(std::span<Column* const> columns, Slot slot, std::string_view attributes);

 private:
  struct Parser;

  const std::unique_ptr<Parser> parser_;
};

}  // namespace engram
