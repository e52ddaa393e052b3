// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace engram {
namespace {

/// Half of the address space of a process on x86-64 and ARM: beyond it, the heap could not grow.
constexpr std::size_t kMostReserved = std::size_t{64} << 40;

std::atomic<std::size_t> all_reserved{0};
std::atomic<std::size_t> all_committed{0};

tl::unexpected<Error> out_of_memory(std::size_t bytes) {
  return fail(ErrorCode::kResourceExhausted,
              "cannot map " + std::to_string(bytes) + " bytes of memory: " + std::strerror(errno));
}

}  // namespace

std::size_t mapped_bytes() noexcept {
  return all_committed.load(std::memory_order_relaxed);
}

Result<MappedMemory> MappedMemory::map(std::size_t bytes, Access access) {
  const std::size_t size = round_up(bytes, kPageBytes);
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  if (all_reserved.load(std::memory_order_relaxed) + size > kMostReserved) {
    return fail(ErrorCode::kResourceExhausted,
                "no address space for another index: this process has reserved 64 TiB, which is "
                "1,600 indexes of M = 16");
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

MappedMemory::~MappedMemory() {
  if (data_ == nullptr) return;
  placement_.reset();
  ::munmap(data_, size_);
  all_reserved.fetch_sub(size_, std::memory_order_relaxed);
  all_committed.fetch_sub(committed_, std::memory_order_relaxed);
}

void MappedMemory::count_committed(std::size_t bytes) noexcept {
  all_committed.fetch_add(bytes - committed_, std::memory_order_relaxed);
  committed_ = bytes;
}

Status MappedMemory::commit(std::size_t bytes) {
  ENGRAM_ASSERT(bytes <= size_);
  const std::size_t end = round_up(bytes, kPageBytes);
  if (end <= committed_) return {};
  std::byte* const start = data_ + committed_;
  const std::size_t more = end - committed_;
  if (::mprotect(start, more, PROT_READ | PROT_WRITE) != 0) return out_of_memory(more);
  count_committed(end);
  return {};
}

Status MappedMemory::place(SectionReader& reader, std::string_view name) {
  const auto bytes = reader.size(name);
  if (!bytes) return tl::unexpected(bytes.error());
  if (*bytes == 0) return {};
  ENGRAM_TRY(commit(*bytes));
  auto placement = reader.place(name, data_);
  if (!placement) return tl::unexpected(std::move(placement.error()));
  placement_ = std::move(*placement);
  return {};
}

void MappedMemory::prefer_huge_pages() noexcept {
  ::madvise(data_, size_, MADV_HUGEPAGE);
}

}  // namespace engram
