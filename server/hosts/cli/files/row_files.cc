// SPDX-License-Identifier: Apache-2.0
// Formats whose rows are all as long: npy, fbin, u8bin, fvecs and bvecs.
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "server/hosts/cli/files/formats.h"

namespace engram {
namespace {

class RowReader final : public VectorReader {
 public:
  RowReader(InputFile file, const RowFormat& format)
      : file_(std::move(file)),
        format_(format),
        bytes_(format.row_header + format.dim * bytes_of(format.type)) {}

  Result<bool> next(VectorRow& row) override {
    if (read_ == format_.rows) return false;
    const auto got = file_.read(bytes_);
    if (!got) return tl::unexpected(got.error());
    if (*got != bytes_.size()) return at_row("is shorter than when it was opened: it ends");
    ENGRAM_TRY(check_row_header());
    row.vector.resize(format_.dim);
    convert(format_.type, std::span(bytes_).subspan(format_.row_header), row.vector);
    ++read_;
    return true;
  }

  [[nodiscard]] double progress() const noexcept override { return file_.progress(); }

 private:
  tl::unexpected<Error> at_row(const std::string& what) const {
    return damaged(file_, what + " in row " + std::to_string(read_) + ", at byte " +
                              std::to_string(file_.position()));
  }

  Status check_row_header() const {
    if (format_.row_header == 0) return {};
    std::uint32_t dim = 0;
    std::memcpy(&dim, bytes_.data(), sizeof dim);
    if (dim == format_.dim) return {};
    return damaged(file_, "says that row " + std::to_string(read_) + ", at byte " +
                              std::to_string(file_.position() - bytes_.size()) + ", has " +
                              std::to_string(dim) + " dimensions; the first has " +
                              std::to_string(format_.dim));
  }

  InputFile file_;
  const RowFormat format_;
  std::uint64_t read_ = 0;
  std::vector<std::byte> bytes_;  // of a row
};

class RowWriter final : public VectorWriter {
 public:
  RowWriter(OutputFile file, RowFile kind, ElementType type, std::size_t dim)
      : file_(std::move(file)), kind_(kind), type_(type), dim_(dim) {}

  Status begin() { return file_.write(header()); }

  Status add(const VectorRow& row) override {
    std::string bytes;
    if (kind_ == RowFile::kVecs) append_word(bytes, static_cast<std::uint32_t>(dim_));
    if (type_ == ElementType::kF32) {
      bytes.append(reinterpret_cast<const char*>(row.vector.data()), dim_ * sizeof(float));
    } else {
      ENGRAM_TRY(append_bytes(bytes, row));
    }
    if (kind_ == RowFile::kBin && rows_ == std::numeric_limits<std::uint32_t>::max()) {
      return fail(ErrorCode::kInvalidArgument,
                  "the format of " + file_.path() + " counts its rows in 32 bits");
    }
    ++rows_;
    return file_.write(bytes);
  }

  Status end() override {
    ENGRAM_TRY(file_.rewrite_begin(header()));
    return file_.finish();
  }

 private:
  static void append_word(std::string& bytes, std::uint32_t word) {
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }

  [[nodiscard]] std::string header() const {
    std::string bytes;
    if (kind_ == RowFile::kNpy) return npy_header(rows_, dim_);
    if (kind_ == RowFile::kVecs) return bytes;
    append_word(bytes, static_cast<std::uint32_t>(rows_));
    append_word(bytes, static_cast<std::uint32_t>(dim_));
    return bytes;
  }

  Status append_bytes(std::string& bytes, const VectorRow& row) const {
    for (std::size_t i = 0; i < dim_; ++i) {
      const float value = row.vector[i];
      if (!(value >= 0 && value <= 255) || std::trunc(value) != value) {
        return fail(ErrorCode::kInvalidArgument,
                    "component " + std::to_string(i) + " of row " + std::to_string(rows_) +
                        " is no whole number in 0..255, as " + file_.path() + " needs it");
      }
      bytes += static_cast<char>(static_cast<unsigned char>(value));
    }
    return {};
  }

  OutputFile file_;
  const RowFile kind_;
  const ElementType type_;
  const std::size_t dim_;
  std::uint64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<VectorReader> make_row_reader(InputFile file, const RowFormat& format) {
  return std::make_unique<RowReader>(std::move(file), format);
}

Result<std::unique_ptr<VectorWriter>> make_row_writer(OutputFile file, RowFile kind,
                                                      ElementType type, std::size_t dim) {
  auto writer = std::make_unique<RowWriter>(std::move(file), kind, type, dim);
  ENGRAM_TRY(writer->begin());
  return Result<std::unique_ptr<VectorWriter>>(std::move(writer));
}

}  // namespace engram
