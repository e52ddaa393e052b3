// SPDX-License-Identifier: Apache-2.0
// Files of vectors, read and written a row at a time, so that memory is bounded whatever their
// size, and whatever their headers say.
//
//   npy            NumPy's format, versions 1 to 3: two dimensions, in C order, of numbers
//   fvecs, bvecs   each row has its dimension in front, an int32; float32, or bytes
//   fbin, u8bin    uint32 rows, uint32 dimension, then the rows; float32, or bytes
//   hdf5           the dataset `train` of ann-benchmarks; where the build has libhdf5
//   csv            key,v1,...,vn; a first line whose second field is no number is a header
//   jsonl          {"id": ..., "vector": [...], "metadata": {...}}, one a line
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"

namespace engram {

struct VectorRow {
  std::string key = {};  ///< where the format has keys
  std::vector<float> vector = {};
  std::optional<std::string> attributes = {};  ///< JSON, where the format has them and the row does
};

/// Threads: one. Errors: kIo; kDataLoss for what is damaged, truncated or not of the format, with
/// the file and the place.
class VectorReader {
 public:
  virtual ~VectorReader() = default;

  /// Reads the next row, which has as many components as the first; false: there is none. After an
  /// error nothing is read.
  virtual Result<bool> next(VectorRow& row) = 0;

  [[nodiscard]] virtual bool has_keys() const noexcept { return false; }

  /// What share of the file was read, 0 to 1; 0 if its size is unknown.
  [[nodiscard]] virtual double progress() const noexcept = 0;
};

/// Writes beside the file's name, and gives the file that name in end(): what is interrupted leaves
/// nothing. Threads: one. Errors: kIo, kNoSpace; kInvalidArgument for what the format cannot hold.
class VectorWriter {
 public:
  virtual ~VectorWriter() = default;

  /// All rows have the same dimension. What the format does not keep of a row is dropped.
  virtual Status add(const VectorRow& row) = 0;
  /// The file is whole, and on disk.
  virtual Status end() = 0;

  [[nodiscard]] virtual bool keeps_attributes() const noexcept { return false; }
};

/// The names of the formats, as messages list them.
inline constexpr std::string_view kFormatNames = "npy, fvecs, bvecs, fbin, u8bin, hdf5, csv, jsonl";

/// The format that is meant: `given`, or what the name of the file ends with. Errors:
/// kInvalidArgument.
Result<std::string> format_of(const std::string& path, const std::string& given);

/// Opens a file of a format of kFormatNames; headers and sizes are checked here. Errors: also
/// kUnsupported.
Result<std::unique_ptr<VectorReader>> open_vector_reader(const std::string& path,
                                                         const std::string& format);

/// For rows of `dim` components.
Result<std::unique_ptr<VectorWriter>> open_vector_writer(const std::string& path,
                                                         const std::string& format,
                                                         std::size_t dim);

}  // namespace engram
