// SPDX-License-Identifier: Apache-2.0
// Rows of somebody else's file: raw float32, one row after the other, as it is mapped. The file is
// not written to: a row that is to be another becomes a private copy of its page.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/result.h"
#include "core/row_pages.h"
#include "server/durability/row_files.h"

namespace engram {

/// Of a file whose first row is that of slot 0. RowPages::check() fails once the file is not the
/// one that was opened (kDataLoss): it has been cut, written to, or replaced.
///
/// Errors: kInvalidArgument for what is no regular file, or not a whole number of rows of
/// `row_bytes`; kNotFound, kIo.
Result<std::unique_ptr<RowPages>> map_rows(const std::string& path, std::size_t row_bytes,
                                           RowReads reads);

}  // namespace engram
