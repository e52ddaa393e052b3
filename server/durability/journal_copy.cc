// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal_copy.h"

#include <limits>
#include <string>
#include <string_view>

#include "server/durability/journal_format.h"
#include "server/durability/journal_reader.h"
#include "server/durability/segment_writer.h"

namespace engram {

Status copy_journal(const StoreFiles& source, Lsn first, Lsn last, const StoreFiles& target) {
  SegmentWriter writer(target, first, std::numeric_limits<std::uint64_t>::max());
  ENGRAM_TRY(writer.start());
  if (last < first) return {};
  StoreId id = source.id();
  std::string frame;
  const auto end =
      read_journal(source, id, first, [&](Lsn lsn, std::string_view changes) -> Status {
        frame.assign(kFrameHeaderBytes, '\0');
        frame.append(changes);
        complete_frame(frame, lsn, first - 1);
        std::string_view left = frame;
        return writer.append(left);
      });
  if (!end) return tl::unexpected(end.error());
  if (end->next <= last) {
    return fail(ErrorCode::kDataLoss, "the journal in " + source.directory() + " ends before LSN " +
                                          std::to_string(end->next));
  }
  return writer.sync();
}

}  // namespace engram
