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
/// Errors: kInvalidArgument, if it is no regular file, `begin` is no multiple of 4 within it, or
/// what follows is no whole number of rows of `row_bytes`; kNotFound, kIo.
Result<std::unique_ptr<RowPages>> map_rows(const FileOfRows& rows, std::size_t row_bytes,
                                           RowReads reads);

}  // namespace engram
