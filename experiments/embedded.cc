// SPDX-License-Identifier: Apache-2.0
// engram inside a program of one's own: the bundled words, their neighbours, and what a memory
// makes of a word of which half is hidden. No server, no files.
//
//   build/experiments/embedded experiments/data king
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "server/hosts/embedded/embedded_store.h"

namespace {

using engram::EmbeddedStore;

constexpr std::size_t kDim = 100;

struct Words {
  std::vector<std::string> keys;
  std::vector<float> vectors;  // [n * kDim]
};

/// Reads words.txt and words.i8; experiments/data/README.md says what is in them.
Words read_words(const std::string& folder) {
  Words words;
  std::ifstream names(folder + "/words.txt");
  for (std::string name; std::getline(names, name);) words.keys.push_back(name);
  std::ifstream codes(folder + "/words.i8", std::ios::binary);
  std::vector<char> record(sizeof(float) + kDim);
  while (codes.read(record.data(), static_cast<std::streamsize>(record.size()))) {
    float scale = 0;
    std::memcpy(&scale, record.data(), sizeof scale);
    for (std::size_t i = 0; i < kDim; ++i) {
      const auto code = static_cast<std::int8_t>(record[sizeof scale + i]);
      words.vectors.push_back(scale * static_cast<float>(code));
    }
  }
  return words;
}

int complain(const std::string& message) {
  std::fprintf(stderr, "embedded: %s\n", message.c_str());
  return EXIT_FAILURE;
}

engram::Status load(EmbeddedStore& store, const std::string& index, const Words& words) {
  std::vector<EmbeddedStore::Item> items;
  for (std::size_t i = 0; i < words.keys.size(); ++i) {
    items.push_back({words.keys[i], std::span(words.vectors).subspan(i * kDim, kDim)});
  }
  const auto added = store.put(index, items);
  if (!added) return tl::unexpected(added.error());
  std::printf("%s: %zu words\n", index.c_str(), *added);
  return {};
}

engram::Status show_neighbors(EmbeddedStore& store, const std::string& word) {
  const auto vector = store.get("words", word);
  if (!vector) return tl::unexpected(vector.error());
  if (!*vector) return engram::fail(engram::ErrorCode::kNotFound, "there is no word " + word);
  const auto found = store.search("words", **vector, 6);
  if (!found) return tl::unexpected(found.error());
  for (const auto& match : *found) {
    std::printf("  %-12s %.4f\n", match.key.c_str(), static_cast<double>(match.distance));
  }
  return {};
}

engram::Status show_recall(EmbeddedStore& store, const std::string& word) {
  const auto tuned = store.tune("memory", {});
  if (!tuned) return tl::unexpected(tuned.error());
  const auto vector = store.get("memory", word);
  if (!vector) return tl::unexpected(vector.error());
  const auto recalled = store.recall("memory", **vector, {{"MASK", "0-49"}, {"TOP", "3"}});
  if (!recalled) return tl::unexpected(recalled.error());
  std::printf("half of '%s' recalls '%s' with weight %.3f\n", word.c_str(),
              recalled->attractor.value_or("nothing").c_str(),
              recalled->recall.attractor ? recalled->recall.attractor->weight : 0.0);
  return {};
}

engram::Status run(const std::string& folder, const std::string& word) {
  const Words words = read_words(folder);
  if (words.keys.empty() || words.vectors.size() != words.keys.size() * kDim) {
    return engram::fail(engram::ErrorCode::kNotFound, "cannot read the words in " + folder);
  }
  auto store = EmbeddedStore::open({});
  if (!store) return tl::unexpected(store.error());
  ENGRAM_TRY((*store)->create_index("words", kDim, {{"PRIMITIVE", "hnsw"}}));
  ENGRAM_TRY((*store)->create_index("memory", kDim, {{"PRIMITIVE", "hopfield"}}));
  ENGRAM_TRY(load(**store, "words", words));
  ENGRAM_TRY(load(**store, "memory", words));
  ENGRAM_TRY(show_neighbors(**store, word));
  return show_recall(**store, word);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return complain("expected a folder of words and a word: experiments/data king");
  const auto done = run(argv[1], argv[2]);
  return done ? EXIT_SUCCESS : complain(done.error().message);
}
