// SPDX-License-Identifier: Apache-2.0
#include "server/filters/dictionary.h"

#include <tsl/robin_set.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <mutex>
#include <utility>

#include "server/runtime/process.h"
#include "server/runtime/sip_hash.h"

namespace engram {
namespace {

constexpr std::size_t kLargestBlock = std::size_t{64} << 10;  // in words

}  // namespace

/// One table for the first codes, and then many, so that none that grows holds the loop for long.
struct Dictionary::Codes {
  /// What finds a code, beside its hash, so that a table that grows does not read texts.
  struct Coded {
    std::uint64_t hash;
    std::uint32_t code;
  };

  struct Looked {
    std::uint64_t hash;
    std::string_view text;
  };

  struct Hash {
    std::size_t operator()(const Coded& coded) const noexcept { return coded.hash; }
    std::size_t operator()(const Looked& looked) const noexcept { return looked.hash; }
  };

  struct Equal {
    using is_transparent = void;
    const Dictionary* dictionary;

    bool operator()(const Coded& a, const Coded& b) const noexcept { return a.code == b.code; }
    bool operator()(const Looked& a, const Coded& b) const noexcept {
      return a.hash == b.hash && a.text == dictionary->text(b.code);
    }
    bool operator()(const Coded& a, const Looked& b) const noexcept { return (*this)(b, a); }
  };

  using Table = tsl::robin_set<Coded, Hash, Equal>;

  static constexpr std::size_t kTables = 64;
  static constexpr std::size_t kLargestAlone = 1024;

  explicit Codes(const Dictionary& dictionary) : owner(dictionary) { make_tables(1); }

  void make_tables(std::size_t count) {
    tables.clear();
    for (std::size_t i = 0; i < count; ++i) {
      tables.emplace_back(0, Hash{}, Equal{&owner});
    }
  }
  Table& table_of(std::uint64_t hash) noexcept {
    return tables[tables.size() == 1 ? 0 : hash >> 58];
  }
  void insert(const Coded& coded, std::size_t size) {
    if (tables.size() == 1 && size > kLargestAlone) {
      const Table former = std::move(tables.front());
      make_tables(kTables);
      for (const Coded& other : former) table_of(other.hash).insert(other);
    }
    table_of(coded.hash).insert(coded);
  }

  const Dictionary& owner;
  const std::uint64_t seed = random_seed();
  mutable std::mutex mutex;  // guards the tables
  std::vector<Table> tables;
};

Dictionary::Dictionary() : codes_(std::make_unique<Codes>(*this)) {}
Dictionary::~Dictionary() = default;

std::optional<std::uint32_t> Dictionary::find(std::string_view text) const {
  const Codes::Looked looked{sip_hash(codes_->seed, text), text};
  const std::lock_guard lock(codes_->mutex);
  const Codes::Table& table = codes_->table_of(looked.hash);
  const auto found = table.find(looked, looked.hash);
  if (found == table.end()) return std::nullopt;
  return found->code;
}

Result<std::uint32_t> Dictionary::add(std::string_view text) {
  if (const auto found = find(text)) return *found;
  const std::uint32_t code = size();
  if (code == std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::kResourceExhausted, "a column has room for 4,294,967,295 values");
  }
  ENGRAM_TRY(entries_.ensure(std::size_t{code} + 1));
  entries_[code] = {keep(text), text.size()};
  size_.store(code + 1, std::memory_order_release);
  bytes_.fetch_add(sizeof(Entry) + 2 * (sizeof(Codes::Coded) + sizeof(std::uint64_t)),
                   std::memory_order_relaxed);
  const std::lock_guard lock(codes_->mutex);
  codes_->insert({sip_hash(codes_->seed, text), code}, code);
  return code;
}

/// Texts lie in blocks, each twice as large as the one before it, up to a limit.
const char* Dictionary::keep(std::string_view text) {
  const std::size_t words = (text.size() + 7) / 8;
  if (words > words_left_ || blocks_.empty()) {
    const std::size_t grown = std::size_t{8} << std::min<std::size_t>(blocks_.size(), 13);
    words_left_ = std::max(words, std::min(grown, kLargestBlock));
    blocks_.push_back(std::make_unique_for_overwrite<std::uint64_t[]>(words_left_));
    block_words_ = words_left_;
    bytes_.fetch_add(words_left_ * sizeof(std::uint64_t), std::memory_order_relaxed);
  }
  std::uint64_t* const place = blocks_.back().get() + (block_words_ - words_left_);
  words_left_ -= words;
  if (!text.empty()) std::memcpy(place, text.data(), text.size());
  return reinterpret_cast<const char*>(place);
}

}  // namespace engram
