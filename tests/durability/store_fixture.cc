// SPDX-License-Identifier: Apache-2.0
#include "tests/durability/store_fixture.h"

#include <fstream>
#include <iterator>
#include <variant>

namespace engram::test {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

Result<Replay> replay(const StoreFiles& files, Lsn from, StoreId id) {
  Replay replayed;
  auto end = read_journal(files, id, from, [&](Lsn, std::string_view changes) -> Status {
    std::string keys;
    while (!changes.empty()) {
      const auto change = decode(changes);
      if (!change) return tl::unexpected(change.error());
      if (!keys.empty()) keys += ',';
      const auto* const set = std::get_if<SetString>(&*change);
      keys += set == nullptr ? "-" : set->key;
    }
    replayed.frames.push_back(std::move(keys));
    return {};
  });
  if (!end) return tl::unexpected(std::move(end.error()));
  replayed.end = *std::move(end);
  return replayed;
}

}  // namespace engram::test
