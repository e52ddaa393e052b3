// SPDX-License-Identifier: Apache-2.0
#include "core/reserved_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/aligned_buffer.h"

namespace engram {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

tl::unexpected<Error> out_of_memory(std::size_t bytes) {
  return fail(ErrorCode::kResourceExhausted,
              "cannot map " + std::to_string(bytes) + " bytes of memory: " + std::strerror(errno));
}

}  // namespace

Result<MappedMemory> MappedMemory::map(std::size_t bytes, Access access) {
  const std::size_t size = round_up(bytes, kPage);
  const std::size_t slack = size >= kHugePage ? kHugePage : 0;
  const int protection = access == Access::kNone ? PROT_NONE : PROT_READ | PROT_WRITE;
  void* const mapped =
      ::mmap(nullptr, size + slack, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return out_of_memory(size);
  auto* const start = static_cast<std::byte*>(mapped);
  if (slack == 0) return MappedMemory(start, size);

  // Cut the mapping to a huge page boundary and give the rest back.
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  const std::size_t lead = round_up(address, kHugePage) - address;
  if (lead > 0) ::munmap(start, lead);
  if (slack > lead) ::munmap(start + lead + size, slack - lead);
  return MappedMemory(start + lead, size);
}

MappedMemory::~MappedMemory() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Status MappedMemory::commit(std::size_t bytes) {
  ENGRAM_ASSERT(bytes <= size_);
  if (::mprotect(data_, round_up(bytes, kPage), PROT_READ | PROT_WRITE) != 0) {
    return out_of_memory(bytes);
  }
  return {};
}

void MappedMemory::prefer_huge_pages() noexcept {
  ::madvise(data_, size_, MADV_HUGEPAGE);
}

}  // namespace engram
