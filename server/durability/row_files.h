// SPDX-License-Identifier: Apache-2.0
// Rows on the disk (VNEW ... ROWS disk). They lie in a file without a name beside the snapshot:
// what was written since that, which the journal has, too. After a restart rows are those of the
// snapshot as it is mapped, and such a file takes what comes.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "core/row_pages.h"
#include "server/durability/file_system.h"

namespace engram {

/// How an index goes through its rows.
enum class RowReads {
  kInOrder,   ///< the system may read ahead
  kAtRandom,  ///< it would read what nobody asks for
};

/// Makes the files of one store. Any thread.
class RowFiles {
 public:
  /// `disk` outlives this.
  RowFiles(FileSystem& disk, std::string directory)
      : disk_(disk), directory_(std::move(directory)) {}

  /// For one index. Its file is made when it is needed: see RowPages::extend.
  [[nodiscard]] std::unique_ptr<RowPages> make(RowReads reads) const;

 private:
  FileSystem& disk_;
  const std::string directory_;
};

}  // namespace engram
