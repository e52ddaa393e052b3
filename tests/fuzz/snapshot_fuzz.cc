// SPDX-License-Identifier: Apache-2.0
// Opens bytes as a snapshot and reads all of it. The first byte says whether they are taken as they
// are, or as entries of a table of contents around which the rest of a file is made, with checksums
// that fit, so that the fuzzer comes past those.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/durability/little_endian.h"
#include "server/durability/snapshot_check.h"
#include "server/durability/snapshot_file.h"
#include "tests/support/memory_file_system.h"

namespace {

using namespace engram;  // NOLINT: this is a program of its own

const std::string kDirectory = "/store";
constexpr std::size_t kMostPages = 16;

/// Entries of 12 bytes: owner, name, where the section is and how long, what is wrong with it; the
/// sections hold what is left of the input.
std::string signed_snapshot(std::string_view input) {
  const StoreId id{std::byte{1}};
  FieldReader fields(input);
  const std::size_t count = fields.number<std::uint8_t>() % 8;
  const auto begun = fields.number<std::int64_t>();
  struct Wish {
    std::uint8_t owner, name, mischief, shift;
    std::uint64_t number;
  };
  std::vector<Wish> wishes;
  for (std::size_t i = 0; i < count; ++i) {
    const auto owner = fields.number<std::uint8_t>();
    const auto name = fields.number<std::uint8_t>();
    const auto mischief = fields.number<std::uint8_t>();
    const auto shift = fields.number<std::uint8_t>();
    wishes.push_back({owner, name, mischief, shift, fields.number<std::uint64_t>()});
  }
  std::string file = encode_snapshot_header(id);
  SnapshotSummary summary{1 + count, begun, {}};
  std::string_view content = fields.rest();
  for (const Wish& wish : wishes) {
    static constexpr const char* kNames[] = {"strings", "collections", "counters", "keys"};
    const std::size_t length = std::min<std::size_t>(wish.number % 6000, content.size());
    const std::size_t offset = file.size();
    file.append(content.substr(0, length));
    content.remove_prefix(length);
    file.resize(padded(file.size()));
    const auto section = as_span(std::string_view(file).substr(offset));
    BlockChecksums checksums;
    checksums.add(section);
    SnapshotEntry entry{wish.owner % 3U, kNames[wish.name % 4], offset, length, checksums.take()};
    if ((wish.mischief & 3) == 3) entry.offset = wish.number << (wish.shift % 64);
    if ((wish.mischief & 12) == 12) entry.length = wish.number << (wish.shift % 64);
    if ((wish.mischief & 48) == 48 && !entry.checksums.empty()) entry.checksums.front() ^= 1;
    if ((wish.mischief & 192) == 192) entry.checksums.push_back(0);
    summary.entries.push_back(std::move(entry));
  }
  return file + encode_snapshot_end(id, summary, file.size());
}

void read(const StoreFiles& files) {
  StoreId id = {};
  const auto snapshot = SnapshotFile::open(files, id);
  if (!snapshot) return;
  const std::atomic<bool> never = false;
  const std::unique_ptr<std::byte[]> memory(new std::byte[kMostPages * kSnapshotPageBytes]);
  for (const SnapshotEntry& entry : (*snapshot)->entries()) {
    const auto reader = (*snapshot)->sections_of(entry.owner);
    const bool good = (*snapshot)->verify(entry, never).has_value();
    const auto section = reader->section(entry.name);
    if (section.has_value() != good) std::abort();
    if (good && section->size() != entry.length) std::abort();
    if (*reader->size(entry.name) != entry.length) std::abort();
    if (padded(entry.length) <= kMostPages * kSnapshotPageBytes &&
        reader->place(entry.name, memory.get()).has_value() != good) {
      std::abort();
    }
  }
  [[maybe_unused]] const auto contents = examine_snapshot(**snapshot);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::map<std::string, std::string> content;
  content[kDirectory + "/snapshot.engram"] =
      (data[0] & 1) != 0 ? signed_snapshot(input) : std::string(input);
  test::MemoryFileSystem disk(std::move(content));
  const auto files = StoreFiles::open(disk, kDirectory);
  read(**files);
  return 0;
}
