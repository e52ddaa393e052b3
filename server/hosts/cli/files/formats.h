// SPDX-License-Identifier: Apache-2.0
// What open_vector_reader() and open_vector_writer() choose from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/result.h"
#include "server/hosts/cli/files/input_file.h"
#include "server/hosts/cli/files/output_file.h"
#include "server/hosts/cli/files/row_format.h"
#include "server/hosts/cli/files/vector_files.h"

namespace engram {

std::unique_ptr<VectorReader> make_row_reader(InputFile file, const RowFormat& format);
std::unique_ptr<VectorReader> make_csv_reader(InputFile file);
std::unique_ptr<VectorReader> make_json_lines_reader(InputFile file);

enum class RowFile : std::uint8_t { kNpy, kBin, kVecs };
/// Of kF32 or kU8. Errors: those of OutputFile.
Result<std::unique_ptr<VectorWriter>> make_row_writer(OutputFile file, RowFile kind,
                                                      ElementType type, std::size_t dim);
std::unique_ptr<VectorWriter> make_csv_writer(OutputFile file);
std::unique_ptr<VectorWriter> make_json_lines_writer(OutputFile file);

/// Errors: kUnsupported where the build has no libhdf5.
Result<std::unique_ptr<VectorReader>> open_hdf5_reader(const std::string& path);
Result<std::unique_ptr<VectorWriter>> open_hdf5_writer(const std::string& path, std::size_t dim);

}  // namespace engram
