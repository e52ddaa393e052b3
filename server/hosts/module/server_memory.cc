// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/server_memory.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "core/reserved_memory.h"
#include "server/hosts/module/redis_module.h"

namespace engram::host {
namespace {

/// Null if there is no memory and the server can say so.
void* ask_server(std::size_t size) noexcept {
  return api.TryAlloc != nullptr ? api.TryAlloc(size) : api.Alloc(size);
}

/// What is held in the server's allocator for what is mapped. Pages that nobody touches take no
/// memory.
class Ballast {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  void change(std::ptrdiff_t bytes) {
    const std::lock_guard lock(mutex_);
    wanted_ += static_cast<std::size_t>(bytes);
    while (!blocks_.empty() && held_ - blocks_.back().second >= wanted_) {
      held_ -= blocks_.back().second;
      api.Free(blocks_.back().first);
      blocks_.pop_back();
    }
    if (held_ >= wanted_) return;
    // So few blocks that their list is short, so large that they are pages of their own.
    const std::size_t size = std::max({wanted_ - held_, kLeastBlock, held_ / 64});
    if (wanted_ - held_ < kLeastBlock) return;
    void* const block = ask_server(size);
    if (block == nullptr) return;  // there is less memory than is mapped
    blocks_.emplace_back(block, size);
    held_ += size;
  }

 private:
  static constexpr std::size_t kLeastBlock = std::size_t{256} << 10;

  std::mutex mutex_;
  std::size_t wanted_ = 0;
  std::size_t held_ = 0;
  std::vector<std::pair<void*, std::size_t>> blocks_;
};

Ballast& ballast() {
  static auto* const kBallast = new Ballast;  // outlives all threads
  return *kBallast;
}

}  // namespace

void count_mapped_memory() {
  ballast().change(static_cast<std::ptrdiff_t>(mapped_bytes()));
  observe_mapped_bytes([](std::ptrdiff_t bytes) { ballast().change(bytes); });
}

void lock_mapped_memory() {
  ballast().lock();
}

void unlock_mapped_memory() {
  ballast().unlock();
}

#ifdef ENGRAM_SERVER_MEMORY
namespace {

/// What is allocated before the server is known: by what registers itself as the module is loaded.
/// It stays.
alignas(64) std::array<std::byte, std::size_t{1} << 18> early;
std::size_t early_used = 0;

bool is_early(const void* memory) noexcept {
  const auto* const bytes = static_cast<const std::byte*>(memory);
  return bytes >= early.data() && bytes < early.data() + early.size();
}

void* allocate_early(std::size_t size) noexcept {
  const std::size_t begin = early_used;
  early_used += (size + 63) / 64 * 64;
  return early_used <= early.size() ? early.data() + begin : nullptr;
}

void* allocate(std::size_t size) noexcept {
  if (api.Alloc == nullptr) return allocate_early(size);
  return ask_server(size);
}

void release(void* memory) noexcept {
  if (memory != nullptr && !is_early(memory)) api.Free(memory);
}

/// What the allocator gave lies in front of what is returned.
void* allocate_aligned(std::size_t size, std::size_t alignment) noexcept {
  void* const given = allocate(size + alignment + sizeof(void*));
  if (given == nullptr) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(given) + sizeof(void*);
  const std::uintptr_t place = (begin + alignment - 1) / alignment * alignment;
  auto* const returned = reinterpret_cast<void**>(place);
  returned[-1] = given;
  return returned;
}

void release_aligned(void* memory) noexcept {
  if (memory != nullptr) release(static_cast<void**>(memory)[-1]);
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace
#endif

}  // namespace engram::host

#ifdef ENGRAM_SERVER_MEMORY
using engram::host::allocate;
using engram::host::allocate_aligned;
using engram::host::or_throw;
using engram::host::release;
using engram::host::release_aligned;

// The array forms of the library call these.
void* operator new(std::size_t size) {
  return or_throw(allocate(size));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return allocate(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return or_throw(allocate_aligned(size, static_cast<std::size_t>(alignment)));
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate_aligned(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release_aligned(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release_aligned(memory);
}
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  release_aligned(memory);
}
#endif
