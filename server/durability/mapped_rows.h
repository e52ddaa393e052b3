// SPDX-License-Identifier: Apache-2.0
// Rows of somebody else's file: float32, one row after the other, behind a header perhaps, as it is
// mapped. The file is not written to: a row that is to be another becomes a private copy of its
// page.
#pragma once

#include <cstddef>
#include <memory>

#include "core/result.h"
#include "core/row_pages.h"
#include "server/durability/row_files.h"

namespace engram {

/// Of a file whose first row is that of slot 0. RowPages::check() fails once the file is not the
/// one that was opened (kDataLoss): it has been cut, written to, or replaced.
///
/// Errors: kInvalidArgument for what is no regular file, or has not a whole number of rows of
/// `row_bytes` behind its beginning, which kernels need to be a multiple of 4; kNotFound, kIo.
Result<std::unique_ptr<RowPages>> map_rows(const FileOfRows& file, std::size_t row_bytes,
                                           RowReads reads);

}  // namespace engram
