// SPDX-License-Identifier: Apache-2.0
#include "server/durability/verified_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

namespace engram {
namespace {

/// What is opened between closed pages makes up to two mappings of the process more, of which it
/// may have 65,530 by default. So many are opened block by block, so many more in larger spans;
/// then whole sections are. The verifier makes them one again.
constexpr std::size_t kMostBlocks = 8192;
constexpr std::size_t kMostTouched = 24'576;
constexpr std::size_t kSpanBlocks = 16;
constexpr std::size_t kSpansOfSection = 4096;

/// What the verifier opens at once.
constexpr std::size_t kBackgroundBytes = std::size_t{1} << 20;

/// A larger block is not asked for before it is touched.
constexpr std::size_t kLargestRequest = std::size_t{1} << 20;

/// After which the verifier looks again whether somebody waits for blocks, and how often it does so
/// in all: the first search after a start has the disk to itself, and no more than that, since the
/// next ones are the faster the sooner all is verified.
constexpr std::chrono::milliseconds kNap{1};
constexpr int kMostNaps = 200;

std::atomic<std::size_t> all_touched{0};
std::atomic<std::uint64_t> touches{0};  // of closed blocks, ever
std::atomic<std::size_t> touching{0};   // those that have not ended

/// One that goes on.
class Touch {
 public:
  Touch() noexcept {
    touching.fetch_add(1, std::memory_order_relaxed);
    touches.fetch_add(1, std::memory_order_relaxed);
  }
  ~Touch() { touching.fetch_sub(1, std::memory_order_relaxed); }
  Touch(const Touch&) = delete;
  Touch& operator=(const Touch&) = delete;
};

/// How a thread that verifies makes way for those who touch what it has not come to yet.
class Courtesy {
 public:
  void give_way(const std::atomic<bool>& cancelled) {
    for (; naps_ < kMostNaps && !cancelled.load(); ++naps_) {
      const std::uint64_t now = touches.load(std::memory_order_relaxed);
      const bool is_quiet = touching.load(std::memory_order_relaxed) == 0;
      if (std::exchange(seen_, now) == now && is_quiet) return;
      std::this_thread::sleep_for(kNap);
    }
  }

 private:
  std::uint64_t seen_ = touches.load(std::memory_order_relaxed);
  int naps_ = 0;
};

}  // namespace

Result<std::shared_ptr<VerifiedPages>> VerifiedPages::close(
    std::shared_ptr<const SnapshotSource> source, const SnapshotEntry& entry, std::byte* address,
    std::shared_ptr<Soundness> soundness) {
  std::shared_ptr<VerifiedPages> pages(
      new VerifiedPages(std::move(source), entry, address, std::move(soundness)));
  if (::mprotect(address, pages->bytes_, PROT_NONE) != 0) {
    return fail(ErrorCode::kResourceExhausted, "cannot protect " + std::to_string(pages->bytes_) +
                                                   " bytes of memory: " + std::strerror(errno));
  }
  watch_faults(pages->begin_, *pages);
  return pages;
}

VerifiedPages::VerifiedPages(std::shared_ptr<const SnapshotSource> source,
                             const SnapshotEntry& entry, std::byte* address,
                             std::shared_ptr<Soundness> soundness)
    : source_(std::move(source)),
      entry_(entry),
      begin_(reinterpret_cast<std::uintptr_t>(address)),
      bytes_(padded(entry.length)),
      soundness_(std::move(soundness)),
      is_open_(entry.checksums.size()),
      is_requested_(entry.checksums.size()) {}

bool VerifiedPages::fetch(std::span<const std::byte* const> rows, std::size_t row_bytes) noexcept {
  if (is_all_open_.load(std::memory_order_relaxed)) return false;
  for (const std::byte* const row : rows) {
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(row) - begin_;
    if (offset >= bytes_) continue;  // added since
    const std::size_t last = std::min(offset + row_bytes, bytes_) - 1;
    for (std::size_t block = offset / entry_.block_bytes; block <= last / entry_.block_bytes;
         ++block) {
      request(block);
    }
  }
  return true;
}

/// Once for each block: should the system drop it before it is touched, it is read then.
void VerifiedPages::request(std::size_t block) noexcept {
  if (entry_.block_bytes > kLargestRequest) return;  // one of version 1 is a whole section
  if (is_open_[block].load(std::memory_order_acquire)) return;
  if (is_requested_[block].load(std::memory_order_relaxed)) return;
  if (is_requested_[block].exchange(true, std::memory_order_relaxed)) return;
  const std::uint64_t begin = block * entry_.block_bytes;
  source_->file->will_read(entry_.offset + begin, std::min(entry_.block_bytes, bytes_ - begin));
}

void VerifiedPages::detach() {
  forget_faults(begin_);
  forget_touched();
  const std::lock_guard lock(mutex_);
  is_attached_ = false;
}

/// Another thread may have opened or condemned the block meanwhile: then the load is tried again.
/// While that thread has yet to put zeros there, it comes back.
bool VerifiedPages::take_fault(std::uintptr_t address, bool is_lost) noexcept {
  if (outcome_.load() == 0) touch(address, is_lost);
  return true;
}

void VerifiedPages::touch(std::uintptr_t address, bool is_lost) noexcept {
  const std::size_t block = (address - begin_) / entry_.block_bytes;
  if (is_lost) {
    const int outcome = check_block(*source_, entry_, block);
    return condemn(outcome != 0 ? outcome : EIO);
  }
  if (is_open_[block].load(std::memory_order_acquire)) return;
  const Touch touch;
  request(block);  // whole, not in the pieces in which it is read
  const Blocks blocks = blocks_around(block);
  if (const int outcome = verify(blocks); outcome != 0) return condemn(outcome);
  if (open(blocks)) return;
  // No room for one more mapping: one for all needs none.
  const Blocks all = {0, is_open_.size()};
  if (const int outcome = verify(all); outcome != 0) return condemn(outcome);
  if (!open(all)) condemn(ENOMEM);
}

VerifiedPages::Blocks VerifiedPages::blocks_around(std::size_t block) noexcept {
  const std::size_t touched = all_touched.fetch_add(1, std::memory_order_relaxed);
  touched_.fetch_add(1, std::memory_order_relaxed);
  if (touched < kMostBlocks) return {block, block + 1};
  const std::size_t count = is_open_.size();
  const std::size_t span =
      touched < kMostTouched ? std::max(kSpanBlocks, count / kSpansOfSection) : count;
  const std::size_t begin = block / span * span;
  return {begin, std::min(begin + span, count)};
}

/// What was opened bit by bit is one mapping now, or none.
void VerifiedPages::forget_touched() noexcept {
  all_touched.fetch_sub(touched_.exchange(0), std::memory_order_relaxed);
}

int VerifiedPages::verify(Blocks blocks) const noexcept {
  for (std::size_t block = blocks.begin; block < blocks.end; ++block) {
    if (is_open_[block].load(std::memory_order_acquire)) continue;
    if (const int outcome = check_block(*source_, entry_, block); outcome != 0) return outcome;
  }
  return 0;
}

bool VerifiedPages::open(Blocks blocks) noexcept {
  const std::size_t begin = blocks.begin * entry_.block_bytes;
  const std::size_t end = std::min<std::size_t>(blocks.end * entry_.block_bytes, bytes_);
  if (::mprotect(reinterpret_cast<void*>(begin_ + begin), end - begin, PROT_READ | PROT_WRITE) !=
      0) {
    return false;
  }
  for (std::size_t block = blocks.begin; block < blocks.end; ++block) {
    is_open_[block].store(true, std::memory_order_release);
  }
  return true;
}

/// All of the section: damage seldom comes alone, and the collection is lost either way.
void VerifiedPages::condemn(int outcome) noexcept {
  int none = 0;
  if (!outcome_.compare_exchange_strong(none, outcome)) return;  // by another thread
  soundness_->condemn(entry_, outcome);
  void* const zeros = ::mmap(reinterpret_cast<void*>(begin_), bytes_, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (zeros == MAP_FAILED) std::abort();
  for (auto& block : is_open_) block.store(true, std::memory_order_release);
  is_all_open_.store(true, std::memory_order_relaxed);
  forget_touched();
}

int VerifiedPages::open_all(Haste haste, const std::atomic<bool>& cancelled) {
  thread_local Courtesy courtesy;  // of one snapshot: its verifier is a thread of its own
  const std::size_t step = std::max<std::size_t>(kBackgroundBytes / entry_.block_bytes, 1);
  for (std::size_t begin = 0; begin < is_open_.size() && !cancelled.load(); begin += step) {
    if (haste == Haste::kNone) courtesy.give_way(cancelled);
    const Blocks blocks = {begin, std::min(begin + step, is_open_.size())};
    int outcome = verify(blocks);
    const std::lock_guard lock(mutex_);
    if (!is_attached_ || outcome_.load() != 0) break;
    if (outcome == 0 && !open(blocks)) outcome = ENOMEM;
    if (outcome != 0) condemn(outcome);
  }
  if (!cancelled.load()) {
    is_all_open_.store(true, std::memory_order_relaxed);
    forget_touched();
  }
  return outcome_.load();
}

}  // namespace engram
