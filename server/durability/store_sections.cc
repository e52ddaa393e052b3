// SPDX-License-Identifier: Apache-2.0
#include "server/durability/store_sections.h"

#include <string>

#include "server/durability/little_endian.h"

namespace engram {
namespace {

constexpr std::string_view kCountersSection = "counters";

}  // namespace

Status write_counters(SectionWriter& writer, const StoreCounters& counters) {
  std::string bytes;
  put_number(bytes, counters.next_collection_id);
  put_number(bytes, counters.journal_reaches);
  ENGRAM_TRY(writer.begin(kCountersSection));
  return writer.append(as_span(bytes));
}

Result<StoreCounters> read_counters(SectionReader& sections) {
  const auto section = sections.section(kCountersSection);
  if (!section) return tl::unexpected(section.error());
  FieldReader fields(as_text(*section));
  const StoreCounters counters = {.next_collection_id = fields.number<std::uint64_t>(),
                                  .journal_reaches = fields.number<Lsn>()};
  if (!fields.ok() || !fields.rest().empty()) {
    return fail(ErrorCode::kDataLoss, "the snapshot's counters are not two");
  }
  return counters;
}

}  // namespace engram
