// SPDX-License-Identifier: Apache-2.0
// Reads bytes as the segments of a journal. The first byte says whether they are taken as they are,
// or get checksums that fit, so that the fuzzer comes past those; and where a second segment
// begins.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "server/durability/change.h"
#include "server/durability/journal_check.h"
#include "server/durability/journal_format.h"
#include "server/durability/journal_reader.h"
#include "server/durability/little_endian.h"
#include "tests/support/memory_file_system.h"

namespace {

using namespace engram;  // NOLINT: this is a program of its own

const std::string kDirectory = "/store";

/// The input as bodies of frames, each with a byte of length and one of mischief before it.
std::string signed_segment(std::string_view input, Lsn first, Lsn& next) {
  std::string segment = encode_segment_header(StoreId{std::byte{1}}, first);
  for (next = first; input.size() > 2; ++next) {
    const auto length =
        std::min<std::size_t>(static_cast<unsigned char>(input[0]) + 1, input.size() - 2);
    const auto mischief = static_cast<unsigned char>(input[1]);
    std::string frame(kFrameHeaderBytes, '\0');
    frame.append(input.substr(2, length));
    const Lsn lsn = (mischief & 7) == 7 ? next + (mischief >> 3) : next;
    complete_frame(frame, lsn, (mischief & 8) != 0 ? lsn - 1 : 0);
    if ((mischief & 0x30) == 0x30) frame[mischief % frame.size()] ^= 1;
    if ((mischief & 0xc0) == 0xc0) frame.append(mischief, '\0');
    segment += frame;
    input.remove_prefix(2 + length);
  }
  return segment;
}

Status decode_all(std::string_view changes) {
  while (!changes.empty()) ENGRAM_TRY(decode(changes));
  return {};
}

void read(const StoreFiles& files, Lsn from) {
  StoreId id = {};
  Lsn expected = from;
  const auto end = read_journal(files, id, from, [&](Lsn lsn, std::string_view changes) {
    if (lsn != expected++) std::abort();
    return decode_all(changes);
  });
  if (end && end->next != expected) std::abort();

  StoreId seen = {};
  const auto findings = examine_journal(files, seen, from);
  if (!findings || findings->segments.empty()) return;
  const bool damaged = findings->broken && !findings->broken->torn;
  // The server passes over what lies before; undecodable frames there are the examiner's only.
  if (end.has_value() == damaged && from == 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t second = data[1] == 0 ? input.size() : input.size() * data[1] / 256;
  Lsn next = 1 + data[1] % 8;
  std::string first_segment(input.substr(0, second));
  std::string second_segment(input.substr(second));
  if ((data[0] & 1) != 0) {
    first_segment = signed_segment(first_segment, 1, next);
    Lsn end = 0;
    if (data[1] != 0) second_segment = signed_segment(second_segment, next, end);
  }
  std::map<std::string, std::string> content;
  const auto path = [](Lsn first) {
    const std::string digits = std::to_string(first);
    return kDirectory + "/journal-" + std::string(20 - digits.size(), '0') + digits + ".log";
  };
  if (data[1] != 0) content[path(next)] = second_segment;
  content[path(1)] = first_segment;
  test::MemoryFileSystem disk(std::move(content));
  const auto files = StoreFiles::open(disk, kDirectory);
  for (const Lsn from : {Lsn{1}, Lsn{3}}) read(**files, from);
  return 0;
}
