// SPDX-License-Identifier: Apache-2.0
#include "server/metrics/slow_log.h"

#include <algorithm>
#include <utility>

namespace engram {
namespace {

constexpr std::size_t kMostArguments = 32;
constexpr std::size_t kMostArgumentBytes = 128;

}  // namespace

KeptArguments::KeptArguments(std::span<const std::string_view> argv,
                             const std::function<bool(std::size_t)>& is_secret) {
  const std::size_t kept = argv.size() <= kMostArguments ? argv.size() : kMostArguments - 1;
  std::size_t bytes = 0;
  for (const std::string_view word : argv.first(kept)) {
    bytes += 2 + std::min(word.size(), kMostArgumentBytes);
  }
  packed_.reserve(bytes);
  for (std::size_t i = 0; i < kept; ++i) {
    if (is_secret && is_secret(i)) {
      add("(redacted)");
    } else if (argv[i].size() <= kMostArgumentBytes) {
      add(argv[i]);
    } else {
      add(argv[i].substr(0, kMostArgumentBytes),
          "... (" + std::to_string(argv[i].size() - kMostArgumentBytes) + " more bytes)");
    }
  }
  if (kept < argv.size()) {
    add("... (" + std::to_string(argv.size() - kept) + " more arguments)");
  }
}

void KeptArguments::add(std::string_view word, std::string_view more) {
  const std::size_t size = word.size() + more.size();
  packed_ += static_cast<char>(size & 0xFF);
  packed_ += static_cast<char>(size >> 8U);
  packed_.append(word).append(more);
}

std::vector<std::string_view> KeptArguments::words() const {
  std::vector<std::string_view> words;
  for (std::string_view rest = packed_; !rest.empty();) {
    const auto byte = [rest](std::size_t i) {
      return static_cast<std::size_t>(static_cast<unsigned char>(rest[i]));
    };
    const std::size_t size = byte(0) | byte(1) << 8U;
    words.push_back(rest.substr(2, size));
    rest.remove_prefix(2 + size);
  }
  return words;
}

void SlowLog::add(SlowCall call, std::size_t most) {
  call.id = next_id_++;
  calls_.push_front(std::move(call));
  if (calls_.size() > most) calls_.resize(most);
}

}  // namespace engram
