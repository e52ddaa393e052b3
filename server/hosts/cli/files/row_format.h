// SPDX-License-Identifier: Apache-2.0
// How formats of fixed rows lay a row out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/result.h"
#include "server/hosts/cli/files/input_file.h"

namespace engram {

enum class ElementType : std::uint8_t { kF16, kF32, kF64, kU8, kI8, kI16, kI32, kI64 };

[[nodiscard]] std::size_t bytes_of(ElementType type) noexcept;

/// Little-endian elements as float32.
void convert(ElementType type, std::span<const std::byte> bytes, std::span<float> out) noexcept;

/// What a file of rows says of itself, checked against its size.
struct RowFormat {
  ElementType type = ElementType::kF32;
  std::size_t dim = 0;
  std::uint64_t rows = 0;
  std::size_t row_header = 0;  ///< bytes in front of each row, which repeat dim as an int32; or 0
};

/// Reads the header of a file, up to its first row. Errors: those of VectorReader.
Result<RowFormat> read_npy_header(InputFile& file);
Result<RowFormat> read_bin_header(InputFile& file, ElementType type);
/// It has none: the dimension of the first row is that of all.
Result<RowFormat> read_vecs_format(InputFile& file, ElementType type);

/// The header of an npy file of float32 is as long whatever `rows` says.
std::string npy_header(std::uint64_t rows, std::size_t dim);

/// kDataLoss, "FILE is ...".
tl::unexpected<Error> damaged(const InputFile& file, const std::string& what);

}  // namespace engram
