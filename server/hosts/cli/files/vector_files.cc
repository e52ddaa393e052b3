// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/files/vector_files.h"

#include <array>
#include <utility>

#include "core/text.h"
#include "server/hosts/cli/files/formats.h"

namespace engram {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kEndings = {
    {{"npy", "npy"},
     {"fvecs", "fvecs"},
     {"bvecs", "bvecs"},
     {"fbin", "fbin"},
     {"u8bin", "u8bin"},
     {"hdf5", "hdf5"},
     {"h5", "hdf5"},
     {"csv", "csv"},
     {"jsonl", "jsonl"},
     {"ndjson", "jsonl"}}};

Result<std::unique_ptr<VectorReader>> reader_of_rows(InputFile file, Result<RowFormat> format) {
  if (!format) return tl::unexpected(std::move(format.error()));
  return make_row_reader(std::move(file), *format);
}

}  // namespace

Result<std::string> format_of(const std::string& path, const std::string& given) {
  const std::string_view name = path;
  const std::size_t dot = name.rfind('.');
  const std::string_view ending = given.empty() && dot != std::string_view::npos
                                      ? name.substr(dot + 1)
                                      : std::string_view(given);
  for (const auto& [known, format] : kEndings) {
    if (equal_ignoring_case(known, ending)) return std::string(format);
  }
  return fail(ErrorCode::kInvalidArgument,
              (given.empty() ? path + " does not end as a known format does"
                             : "there is no format '" + given + "'") +
                  "; --format names one of " + std::string(kFormatNames));
}

Result<std::unique_ptr<VectorReader>> open_vector_reader(const std::string& path,
                                                         const std::string& format) {
  if (format == "hdf5") return open_hdf5_reader(path);
  auto file = InputFile::open(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  if (format == "csv") return make_csv_reader(std::move(*file));
  if (format == "jsonl") return make_json_lines_reader(std::move(*file));
  const bool has_bytes = format == "bvecs" || format == "u8bin";
  const ElementType type = has_bytes ? ElementType::kU8 : ElementType::kF32;
  auto header = format == "npy"                         ? read_npy_header(*file)
                : format == "fbin" || format == "u8bin" ? read_bin_header(*file, type)
                                                        : read_vecs_format(*file, type);
  return reader_of_rows(std::move(*file), std::move(header));
}

Result<std::unique_ptr<VectorWriter>> open_vector_writer(const std::string& path,
                                                         const std::string& format,
                                                         std::size_t dim) {
  if (format == "hdf5") return open_hdf5_writer(path, dim);
  auto file = OutputFile::create(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  if (format == "csv") return make_csv_writer(std::move(*file));
  if (format == "jsonl") return make_json_lines_writer(std::move(*file));
  const bool has_bytes = format == "bvecs" || format == "u8bin";
  const RowFile kind = format == "npy"                         ? RowFile::kNpy
                       : format == "fbin" || format == "u8bin" ? RowFile::kBin
                                                               : RowFile::kVecs;
  return make_row_writer(std::move(*file), kind, has_bytes ? ElementType::kU8 : ElementType::kF32,
                         dim);
}

}  // namespace engram
