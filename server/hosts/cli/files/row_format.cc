// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/row_format.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "core/row.h"
#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr std::size_t kMostHeaderBytes = 64UL * 1024;

template <class T>
T load(const std::byte* bytes) noexcept {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class T>
void convert_as(std::span<const std::byte> bytes, std::span<float> out) noexcept {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(load<T>(bytes.data() + i * sizeof(T)));
  }
}

/// IEEE's half: a sign, five bits of exponent, ten of fraction.
float from_half(std::uint16_t half) noexcept {
  const float sign = (half & 0x8000U) != 0 ? -1.0F : 1.0F;
  const int exponent = (half >> 10U) & 31;
  const int fraction = half & 1023;
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VALF : std::nanf("");
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

Status check_dim(const InputFile& file, std::uint64_t dim) {
  if (dim >= 1 && dim <= kMaxDimension) return {};
  return damaged(file, "says that its vectors have " + std::to_string(dim) +
                           " dimensions, expected 1 to " + std::to_string(kMaxDimension));
}

/// The file has its header, and then exactly so many rows.
Status check_size(const InputFile& file, const RowFormat& format) {
  const std::uint64_t header = file.position();
  const std::uint64_t row = format.row_header + format.dim * bytes_of(format.type);
  const std::uint64_t there = file.size() - header;
  if (there % row == 0 && there / row == format.rows) return {};
  if (there / row < format.rows) {
    return damaged(file, "is truncated: its header tells of " + std::to_string(format.rows) +
                             " rows of " + std::to_string(row) + " bytes, and it ends at byte " +
                             std::to_string(file.size()) + ", in row " +
                             std::to_string(there / row));
  }
  return damaged(file, "goes on behind its last row, at byte " +
                           std::to_string(header + format.rows * row) +
                           ": its header does not fit it");
}

Status check_regular(const InputFile& file) {
  if (file.is_regular()) return {};
  return fail(ErrorCode::kIo,
              file.path() + " is no regular file; only csv and jsonl are read from others");
}

Status read_whole(InputFile& file, std::span<std::byte> room) {
  const auto got = file.read(room);
  if (!got) return tl::unexpected(got.error());
  if (*got == room.size()) return {};
  return damaged(file,
                 "is truncated: it ends in its header, at byte " + std::to_string(file.size()));
}

/// The text behind 'name': in the dictionary of an npy header, up to the end.
std::optional<std::string_view> npy_field(std::string_view header, std::string_view name) {
  const std::string quoted = "'" + std::string(name) + "'";
  const std::size_t at = header.find(quoted);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = header.substr(at + quoted.size());
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  if (!rest.starts_with(':')) return std::nullopt;
  rest.remove_prefix(1);
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  return rest;
}

std::optional<ElementType> npy_type(std::string_view descr) {
  static constexpr std::array<std::pair<std::string_view, ElementType>, 8> kTypes = {
      {{"<f2", ElementType::kF16},
       {"<f4", ElementType::kF32},
       {"<f8", ElementType::kF64},
       {"|u1", ElementType::kU8},
       {"|i1", ElementType::kI8},
       {"<i2", ElementType::kI16},
       {"<i4", ElementType::kI32},
       {"<i8", ElementType::kI64}}};
  for (const auto& [name, type] : kTypes) {
    if (descr.size() > 4 && (descr[0] == '\'' || descr[0] == '"') && descr.substr(1, 3) == name &&
        descr[4] == descr[0]) {
      return type;
    }
  }
  return std::nullopt;
}

/// "(3, 4)" as 3 and 4; nothing unless there are two.
std::optional<std::pair<std::uint64_t, std::uint64_t>> npy_shape(std::string_view text) {
  const std::size_t comma = text.find(',');
  const std::size_t end = text.find(')');
  if (!text.starts_with('(') || end == std::string_view::npos || comma > end) return std::nullopt;
  std::string_view second = text.substr(comma + 1, end - comma - 1);
  while (second.starts_with(' ')) second.remove_prefix(1);
  const auto rows = parse_number<std::uint64_t>(text.substr(1, comma - 1));
  const auto dim = parse_number<std::uint64_t>(second);
  if (!rows || !dim) return std::nullopt;
  return std::pair(*rows, *dim);
}

Result<std::string> read_npy_dictionary(InputFile& file) {
  std::array<std::byte, 8> magic{};
  ENGRAM_TRY(read_whole(file, magic));
  const auto* const text = reinterpret_cast<const char*>(magic.data());
  const auto version = std::to_integer<int>(magic[6]);
  if (std::string_view(text, kNpyMagic.size()) != kNpyMagic || version < 1 || version > 3) {
    return damaged(file, "is no npy file of version 1, 2 or 3");
  }
  std::array<std::byte, 4> length{};
  ENGRAM_TRY(read_whole(file, std::span(length).first(version == 1 ? 2 : 4)));
  const auto bytes = load<std::uint32_t>(length.data());
  if (bytes > kMostHeaderBytes) {
    return damaged(file, "has an npy header of " + std::to_string(bytes) +
                             " bytes, expected at most " + std::to_string(kMostHeaderBytes));
  }
  std::string dictionary(bytes, '\0');
  ENGRAM_TRY(read_whole(file, std::as_writable_bytes(std::span(dictionary))));
  return dictionary;
}

}  // namespace

static_assert(std::endian::native == std::endian::little);

std::size_t bytes_of(ElementType type) noexcept {
  switch (type) {
    case ElementType::kU8:
    case ElementType::kI8:
      return 1;
    case ElementType::kF16:
    case ElementType::kI16:
      return 2;
    case ElementType::kF32:
    case ElementType::kI32:
      return 4;
    case ElementType::kF64:
    case ElementType::kI64:
      break;
  }
  return 8;
}

void convert(ElementType type, std::span<const std::byte> bytes, std::span<float> out) noexcept {
  switch (type) {
    case ElementType::kF16:
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = from_half(load<std::uint16_t>(bytes.data() + 2 * i));
      }
      return;
    case ElementType::kF32:
      std::memcpy(out.data(), bytes.data(), out.size_bytes());
      return;
    case ElementType::kF64:
      return convert_as<double>(bytes, out);
    case ElementType::kU8:
      return convert_as<std::uint8_t>(bytes, out);
    case ElementType::kI8:
      return convert_as<std::int8_t>(bytes, out);
    case ElementType::kI16:
      return convert_as<std::int16_t>(bytes, out);
    case ElementType::kI32:
      return convert_as<std::int32_t>(bytes, out);
    case ElementType::kI64:
      return convert_as<std::int64_t>(bytes, out);
  }
}

Result<RowFormat> read_npy_header(InputFile& file) {
  ENGRAM_TRY(check_regular(file));
  const auto dictionary = read_npy_dictionary(file);
  if (!dictionary) return tl::unexpected(dictionary.error());
  const auto descr = npy_field(*dictionary, "descr");
  const auto order = npy_field(*dictionary, "fortran_order");
  const auto shape = npy_field(*dictionary, "shape");
  if (!descr || !order || !shape)
    return damaged(file, "has an npy header without descr, fortran_order or shape");
  const auto type = npy_type(*descr);
  if (!type) {
    return damaged(file,
                   "holds elements of a type that is not read; expected <f2, <f4, <f8, |u1, |i1, "
                   "<i2, <i4 or <i8");
  }
  if (!order->starts_with("False")) return damaged(file, "is in Fortran's order, expected C's");
  const auto extents = npy_shape(*shape);
  if (!extents) return damaged(file, "has not two dimensions: rows and components");
  ENGRAM_TRY(check_dim(file, extents->second));
  const RowFormat format = {
      .type = *type, .dim = static_cast<std::size_t>(extents->second), .rows = extents->first};
  ENGRAM_TRY(check_size(file, format));
  return format;
}

Result<RowFormat> read_bin_header(InputFile& file, ElementType type) {
  ENGRAM_TRY(check_regular(file));
  std::array<std::byte, 8> header{};
  ENGRAM_TRY(read_whole(file, header));
  RowFormat format = {.type = type};
  format.rows = load<std::uint32_t>(header.data());
  format.dim = load<std::uint32_t>(header.data() + 4);
  ENGRAM_TRY(check_dim(file, format.dim));
  ENGRAM_TRY(check_size(file, format));
  return format;
}

Result<RowFormat> read_vecs_format(InputFile& file, ElementType type) {
  ENGRAM_TRY(check_regular(file));
  RowFormat format = {.type = type, .row_header = 4};
  if (file.size() == 0) return format;
  std::array<std::byte, 4> header{};
  const auto got = file.peek(header);
  if (!got) return tl::unexpected(got.error());
  if (*got != header.size()) {
    return damaged(file, "is truncated: it ends in its first row, at byte " + std::to_string(*got));
  }
  format.dim = load<std::uint32_t>(header.data());
  ENGRAM_TRY(check_dim(file, format.dim));
  const std::uint64_t row = format.row_header + format.dim * bytes_of(type);
  format.rows = file.size() / row;
  if (file.size() % row == 0) return format;
  return damaged(file, "is truncated, or its rows differ in length: it ends at byte " +
                           std::to_string(file.size()) + ", in row " + std::to_string(format.rows) +
                           " of " + std::to_string(row) + " bytes");
}

std::string npy_header(std::uint64_t rows, std::size_t dim) {
  constexpr std::size_t kBytes = 128;
  std::string header(kNpyMagic);
  header += '\x01';
  header += '\0';
  const std::size_t dictionary = kBytes - header.size() - 2;
  header += static_cast<char>(dictionary);
  header += '\0';
  header += "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", " +
            std::to_string(dim) + "), }";
  header.resize(kBytes - 1, ' ');
  header += '\n';
  return header;
}

tl::unexpected<Error> damaged(const InputFile& file, const std::string& what) {
  return fail(ErrorCode::kDataLoss, file.path() + " " + what);
}

}  // namespace engram
