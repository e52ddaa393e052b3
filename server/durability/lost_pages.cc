// SPDX-License-Identifier: Apache-2.0
#include "server/durability/lost_pages.h"

#include <sys/mman.h>

#include <cstdlib>

#include "core/reserved_memory.h"
#include "server/durability/page_faults.h"

namespace engram {

/// What one call of add() gave.
class LostPages::Part final : public FaultTaker {
 public:
  Part(std::uintptr_t begin, std::size_t bytes, std::atomic<bool>& is_any)
      : begin_(begin), bytes_(bytes), is_any_(is_any) {}

  bool contains(std::uintptr_t address) const noexcept override {
    return address - begin_ < bytes_;
  }

  bool take_fault(std::uintptr_t address, bool is_lost) noexcept override {
    if (!is_lost) return false;
    is_any_.store(true);
    void* const page = reinterpret_cast<void*>(address / kPageBytes * kPageBytes);
    void* const zeros = ::mmap(page, kPageBytes, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) std::abort();
    return true;
  }

 private:
  const std::uintptr_t begin_;
  const std::size_t bytes_;
  std::atomic<bool>& is_any_;
};

LostPages::LostPages() = default;

LostPages::~LostPages() {
  for (const auto& [begin, part] : parts_) forget_faults(begin);
}

void LostPages::add(std::byte* address, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  const auto [part, is_new] = parts_.emplace(begin, std::make_unique<Part>(begin, bytes, is_any_));
  watch_faults(begin, *part->second);
}

void LostPages::remove(std::byte* address, std::size_t bytes) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  const std::lock_guard lock(mutex_);
  const auto first = parts_.lower_bound(begin);
  const auto last = parts_.lower_bound(begin + bytes);
  for (auto part = first; part != last; ++part) forget_faults(part->first);
  parts_.erase(first, last);
}

}  // namespace engram
