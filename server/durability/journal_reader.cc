// SPDX-License-Identifier: Apache-2.0
#include "server/durability/journal_reader.h"

#include <algorithm>
#include <vector>

#include "server/durability/little_endian.h"

namespace engram {
namespace {

tl::unexpected<Error> damage(const StoreFiles& files, const std::string& what) {
  return fail(ErrorCode::kDataLoss,
              what + "; 'engram check " + files.directory() +
                  "' explains it, 'engram check --repair " + files.directory() +
                  "' goes back to what came before and keeps the rest in .cut files");
}

std::string frames(Lsn first, Lsn last) {
  return first == last ? "frame " + std::to_string(first)
                       : "frames " + std::to_string(first) + " to " + std::to_string(last);
}

}  // namespace

Result<JournalEnd> read_journal(const StoreFiles& files, StoreId& id, Lsn from,
                                const FrameVisitor& visit) {
  // First: a journal that is being written is then seen to have what the note says.
  const auto mark = read_synced_mark(files);
  if (!mark) return tl::unexpected(mark.error());
  const auto firsts = files.segments();
  if (!firsts) return tl::unexpected(firsts.error());
  JournalEnd end;
  end.next = from;
  if (firsts->empty() && from == 1) return end;
  if (firsts->empty() || firsts->front() > from) {
    const std::string lost = firsts->empty() ? "frame " + std::to_string(from) + " and what follows"
                                             : frames(from, firsts->front() - 1);
    return damage(files, "the journal in " + files.directory() + " lacks " + lost);
  }
  const auto visit_wanted = [&](Lsn lsn, std::string_view changes) -> Status {
    if (lsn < from) return {};
    ++end.frames;
    return visit(lsn, changes);
  };
  auto segment = std::prev(std::upper_bound(firsts->begin(), firsts->end(), from));
  for (; segment != firsts->end(); ++segment) {
    const std::string path = files.segment_path(*segment);
    const auto file = files.disk().open_for_reading(path);
    if (!file) return tl::unexpected(file.error());
    const auto content = FileContent::read(**file);
    if (!content) return tl::unexpected(content.error());
    const std::string_view bytes = as_text(content->bytes());
    const auto next_segment = std::next(segment);
    const bool newest = next_segment == firsts->end();
    auto scanned = scan_segment(bytes, *segment, newest, *mark, id, visit_wanted);
    if (!scanned) return fail(scanned.error().code, path + " " + scanned.error().message);
    if (scanned->kind == SegmentEnd::Kind::kDamaged) {
      return damage(files, path + " is damaged at offset " + std::to_string(scanned->offset) +
                               ", where frame " + std::to_string(scanned->next) +
                               " should be: it " + scanned->reason);
    }
    if (scanned->kind == SegmentEnd::Kind::kTorn) {
      end.torn = TornTail{path, scanned->offset, bytes.size() - scanned->offset};
    }
    if (!newest && scanned->next != *next_segment) {
      return damage(files, path + " ends before frame " + std::to_string(scanned->next) +
                               ", the next segment begins with frame " +
                               std::to_string(*next_segment));
    }
    // A snapshot may reach beyond a journal that was not synced.
    end.next = std::max(scanned->next, from);
  }
  if (end.next <= mark->of(id)) {
    return damage(files, "the journal in " + files.directory() + " lacks " +
                             frames(end.next, mark->of(id)) + ", which " +
                             std::string(kSyncedName) + " says were on disk");
  }
  return end;
}

Status cut(const StoreFiles& files, const TornTail& torn) {
  if (torn.offset == 0) {
    ENGRAM_TRY(files.disk().remove(torn.path));
    return files.disk().sync_directory(files.directory());
  }
  const auto file = files.disk().open_for_append(torn.path);
  if (!file) return tl::unexpected(file.error());
  ENGRAM_TRY((*file)->truncate(torn.offset));
  return (*file)->sync();
}

}  // namespace engram
