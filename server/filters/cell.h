// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>

namespace engram {

/// What the value of a field is.
enum class CellKind : std::uint8_t {
  kMissing,  ///< there is no such field, or there are no attributes
  kNull,
  kFalse,
  kTrue,
  kObject,
  kString,
  kList,
  kNumber,
};

/// The value of a field, in 64 bits; those of zero are a missing one. Strings and lists are codes
/// of the dictionaries of a Column.
///
/// A number is the complement of its double. What is no number is a kind in the bits from the 32nd
/// on, and a code below them: the complement of a NaN, which JSON does not have.
class Cell {
 public:
  constexpr Cell() noexcept = default;

  static constexpr Cell number(double value) noexcept {
    return Cell(~std::bit_cast<std::uint64_t>(value));
  }
  static constexpr Cell boolean(bool value) noexcept {
    return Cell(value ? CellKind::kTrue : CellKind::kFalse, 0);
  }
  static constexpr Cell null() noexcept { return Cell(CellKind::kNull, 0); }
  static constexpr Cell object() noexcept { return Cell(CellKind::kObject, 0); }
  static constexpr Cell string(std::uint32_t code) noexcept {
    return Cell(CellKind::kString, code);
  }
  static constexpr Cell list(std::uint32_t code) noexcept { return Cell(CellKind::kList, code); }

  /// bits() of another.
  static constexpr Cell from_bits(std::uint64_t bits) noexcept { return Cell(bits); }
  [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
  /// Whether bits() are those of a number.
  static constexpr bool is_number(std::uint64_t bits) noexcept { return bits >= kFirstNumber; }

  [[nodiscard]] constexpr CellKind kind() const noexcept {
    return is_number() ? CellKind::kNumber : static_cast<CellKind>(bits_ >> kKindShift);
  }
  [[nodiscard]] constexpr bool is_number() const noexcept { return is_number(bits_); }
  [[nodiscard]] constexpr bool is_missing() const noexcept { return bits_ == 0; }

  /// Of a number.
  [[nodiscard]] constexpr double value() const noexcept { return std::bit_cast<double>(~bits_); }
  /// Of a string or a list.
  [[nodiscard]] constexpr std::uint32_t code() const noexcept {
    return static_cast<std::uint32_t>(bits_);
  }

  /// The same kind and bits. Numbers compare otherwise: 0 equals -0.
  friend constexpr bool operator==(Cell, Cell) noexcept = default;

 private:
  static constexpr unsigned kKindShift = 32;
  static constexpr std::uint64_t kFirstNumber = std::uint64_t{1} << 40;

  explicit constexpr Cell(std::uint64_t bits) noexcept : bits_(bits) {}
  constexpr Cell(CellKind kind, std::uint32_t code) noexcept
      : bits_(static_cast<std::uint64_t>(kind) << kKindShift | code) {}

  std::uint64_t bits_ = 0;
};

static_assert(sizeof(Cell) == 8);

}  // namespace engram
