// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <string>

#include "core/assert.h"

namespace engram {
namespace {

/// Half of the address space of a process on x86-64 and ARM: beyond it, the heap could not grow.
constexpr std::size_t kMostReserved = std::size_t{64} << 40;

std::atomic<std::size_t> all_reserved{0};
std::atomic<std::size_t> all_committed{0};
MappedBytesObserver observer = nullptr;

void change_committed(std::ptrdiff_t change) noexcept {
  all_committed.fetch_add(static_cast<std::size_t>(change), std::memory_order_relaxed);
  if (observer != nullptr) observer(change);
}

tl::unexpected<Error> out_of_memory(std::size_t bytes) {
  return fail(ErrorCode::kResourceExhausted,
              "cannot map " + std::to_string(bytes) + " bytes of memory: " + std::strerror(errno));
}

}  // namespace

std::size_t mapped_bytes() noexcept {
  return all_committed.load(std::memory_order_relaxed);
}

void observe_mapped_bytes(MappedBytesObserver observe) noexcept {
  observer = observe;
}

Result<MappedMemory> MappedMemory::map(std::size_t bytes, Access access) {
  const std::size_t size = round_up(bytes, kPageBytes);
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  if (all_reserved.load(std::memory_order_relaxed) + size > kMostReserved) {
    return fail(ErrorCode::kResourceExhausted, "no address space for another " +
                                                   std::to_string(size) +
                                                   " bytes: this process has reserved 64 TiB");
  }
  const int protection = access == Access::kNone ? PROT_NONE : PROT_READ | PROT_WRITE;
  void* const mapped =
      ::mmap(nullptr, size + slack, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return out_of_memory(size);
  auto* const start = static_cast<std::byte*>(mapped);
  // Cut the mapping to a huge page boundary and give the rest back.
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  const std::size_t lead = slack == 0 ? 0 : round_up(address, kHugePage) - address;
  if (lead > 0) ::munmap(start, lead);
  if (slack > lead) ::munmap(start + lead + size, slack - lead);
  all_reserved.fetch_add(size, std::memory_order_relaxed);
  MappedMemory memory(start + lead, size);
  if (access == Access::kReadWrite) memory.count_committed(size);
  return memory;
}

Result<MappedMemory> MappedMemory::map_file(std::size_t bytes, RowPages& pages,
                                            std::size_t offset) {
  auto memory = map(bytes, Access::kNone);
  if (!memory) return memory;
  memory->pages_ = &pages;
  memory->offset_ = offset;
  return memory;
}

MappedMemory::~MappedMemory() {
  if (data_ == nullptr) return;
  placement_.reset();
  if (pages_ != nullptr) pages_->withdraw(data_, size_);
  ::munmap(data_, size_);
  all_reserved.fetch_sub(size_, std::memory_order_relaxed);
  if (pages_ == nullptr) change_committed(-static_cast<std::ptrdiff_t>(committed_));
}

void MappedMemory::count_committed(std::size_t bytes) noexcept {
  if (pages_ == nullptr) change_committed(static_cast<std::ptrdiff_t>(bytes - committed_));
  committed_ = bytes;
}

Status MappedMemory::commit(std::size_t bytes) {
  ENGRAM_ASSERT(bytes <= size_);
  const std::size_t end = round_up(bytes, kPageBytes);
  if (pages_ == nullptr) return open(end);
  if (end <= committed_) return {};
  ENGRAM_TRY(pages_->extend(data_ + committed_, end - committed_, offset_ + committed_));
  count_committed(end);
  return {};
}

/// Memory of no file, up to `end`.
Status MappedMemory::open(std::size_t end) {
  if (end <= committed_) return {};
  const std::size_t more = end - committed_;
  if (::mprotect(data_ + committed_, more, PROT_READ | PROT_WRITE) != 0) return out_of_memory(more);
  count_committed(end);
  return {};
}

Status MappedMemory::place(SectionReader& reader, std::string_view name) {
  const auto bytes = reader.size(name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes == 0) return {};
  ENGRAM_ASSERT(*bytes <= size_);
  ENGRAM_TRY(open(round_up(*bytes, kPageBytes)));
  auto placement = reader.place(name, data_);
  if (!placement) return tl::unexpected(std::move(placement.error()));
  if (pages_ != nullptr) pages_->advise(data_, round_up(*bytes, kPageBytes));
  placement_ = std::move(*placement);
  return {};
}

void MappedMemory::prefer_huge_pages() noexcept {
  ::madvise(data_, size_, MADV_HUGEPAGE);
}

Result<FixedMemory> FixedMemory::allocate(std::size_t bytes) {
  FixedMemory memory;
  memory.size_ = bytes;
  if (bytes == 0) return memory;
  if (bytes > kLargestOnHeap) {
    auto pages = MappedMemory::map(bytes, MappedMemory::Access::kReadWrite);
    if (!pages) return tl::unexpected(std::move(pages.error()));
    memory.pages_ = std::move(*pages);
    return memory;
  }
  const std::size_t size = round_up(bytes, kRowAlignment);
  void* const heap = ::operator new (size, std::align_val_t{kRowAlignment}, std::nothrow);
  if (heap == nullptr) {
    return fail(ErrorCode::kResourceExhausted,
                "cannot allocate " + std::to_string(bytes) + " bytes of memory");
  }
  std::memset(heap, 0, size);
  memory.heap_.reset(static_cast<std::byte*>(heap));
  return memory;
}

Status FixedMemory::fill(SectionReader& reader, std::string_view name) {
  const auto bytes = reader.size(name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes != size_) {
    return fail(ErrorCode::kDataLoss, "section '" + std::string(name) + "' has " +
                                          std::to_string(*bytes) + " bytes, " +
                                          std::to_string(size_) + " were expected");
  }
  if (heap_ == nullptr) return pages_.place(reader, name);
  const auto section = reader.section(name);
  if (!section) return tl::unexpected(section.error());
  std::memcpy(heap_.get(), section->data(), size_);
  return {};
}

}  // namespace engram
