// SPDX-License-Identifier: Apache-2.0
#include "core/row_blocks.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "core/slot_set.h"

namespace engram {

/// What a RowBlocks owns. Nothing is given back before the end: readers may still look at it.
struct RowBlocks::Memory {
  std::vector<FixedMemory> heap;
  std::vector<std::unique_ptr<Block[]>> tables;  // the last is blocks_
  std::vector<MappedMemory> chunks;              // of mapped blocks
  std::size_t given = 0;                         // bytes of chunks.back() that are blocks
  std::size_t blocks = 0;
  std::size_t block_capacity = 0;  // of blocks_
  std::size_t room = 0;            // rows that blocks have, ready or not
  bool last_is_mapped = false;     // the last block
};

namespace {

/// Of rows of a few bytes.
constexpr std::size_t kRowsOfSmallBlock = 16;

/// What is taken from the heap at once: as much as there is already, and no more than this.
constexpr std::size_t kLargestSlab = std::size_t{8} << 10;

/// A place of rows that is smaller grows to four times its size.
constexpr std::size_t kSmallPlace = std::size_t{1} << 10;

/// Mapped blocks come in chunks: address space, of which memory is taken as blocks are. The first
/// chunk is a huge page or what was placed, and is taken in steps that double, on small pages: most
/// stores never fill it.
constexpr std::size_t kLargerChunk = 32;
constexpr std::size_t kFirstStep = std::size_t{64} << 10;

/// A section of at most so many bytes is copied. A placed one costs two mappings.
constexpr std::size_t kCopiedBytes = std::size_t{64} << 10;

/// Pointers to rows, on the stack.
constexpr std::size_t kFetchedAtOnce = 64;

/// What is handed to a writer at once.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

unsigned log2_floor(std::size_t value) {
  return static_cast<unsigned>(std::bit_width(value)) - 1;
}

/// A block's rows fill whole pages where they can, so that sections are rows without gaps.
unsigned block_shift(std::size_t row_bytes, const RowLayout& layout) {
  if (layout.block_bytes == 0) return log2_floor(kRowsOfSmallBlock);
  const unsigned wanted = log2_floor(std::max(layout.block_bytes / row_bytes, std::size_t{1}));
  const unsigned whole_pages =
      log2_floor(std::max(kPageBytes >> std::countr_zero(row_bytes), std::size_t{1}));
  const unsigned most = log2_floor(kHugePage / row_bytes);
  return std::min(std::max(wanted, whole_pages), most);
}

/// Refuses a section of rows below `slot_end` that has not the bytes of so many.
Status check_size(std::string_view name, std::size_t bytes, std::size_t expected,
                  std::size_t slot_end) {
  if (slot_end <= kMaxSlots && bytes == expected) return {};
  return fail(ErrorCode::kDataLoss, "section '" + std::string(name) + "' has " +
                                        std::to_string(bytes) + " bytes, " +
                                        std::to_string(expected) + " were expected for " +
                                        std::to_string(slot_end) + " slots");
}

tl::unexpected<Error> out_of_heap(std::size_t bytes) {
  return fail(ErrorCode::kResourceExhausted,
              "cannot allocate " + std::to_string(bytes) + " bytes of memory");
}

}  // namespace

RowBlocks::RowBlocks(std::size_t row_bytes, const RowLayout& layout, RowPages* pages)
    : row_bytes_(row_bytes),
      shift_(block_shift(row_bytes, layout)),
      mask_((std::size_t{1} << shift_) - 1),
      heap_rows_(layout.heap_bytes / row_bytes),
      moves_(layout.moves),
      pages_(pages),
      lead_(pages == nullptr ? 0 : pages->lead()) {
  ENGRAM_ASSERT(row_bytes > 0 && row_bytes <= kHugePage);
}

RowBlocks::~RowBlocks() = default;

RowBlocks::Memory& RowBlocks::memory() {
  if (memory_ == nullptr) memory_ = std::make_unique<Memory>();
  return *memory_;
}

void RowBlocks::fetch_pages(std::span<const Slot> slots) const noexcept {
  for (const Slot slot : slots) {
    const auto begin = reinterpret_cast<std::uintptr_t>(row(slot));
    const std::uintptr_t page = begin / kPageBytes * kPageBytes;
    ::madvise(reinterpret_cast<void*>(page), begin + row_bytes_ - page, MADV_WILLNEED);
  }
}

void RowBlocks::fetch_from_placement(std::span<const Slot> slots) const noexcept {
  Placement* const placement = placement_.load(std::memory_order_acquire);
  std::array<const std::byte*, kFetchedAtOnce> addresses;
  while (placement != nullptr && !slots.empty()) {
    const auto some = slots.first(std::min(slots.size(), addresses.size()));
    rows(some, addresses.data());
    if (!placement->fetch({addresses.data(), some.size()}, row_bytes_)) {
      placement_.store(nullptr, std::memory_order_relaxed);
      return;
    }
    slots = slots.subspan(some.size());
  }
}

Status RowBlocks::grow(std::size_t slot_end) {
  const std::lock_guard lock(mutex_);
  if (slot_end > kMaxSlots) {
    return fail(ErrorCode::kResourceExhausted, "an index has room for " +
                                                   std::to_string(kMaxSlots) + " rows, " +
                                                   std::to_string(slot_end) + " needed");
  }
  Memory& mine = memory();
  for (std::size_t ready = ready_.load(); ready < slot_end; ready = ready_.load()) {
    if (ready == mine.room) ENGRAM_TRY(add_room(slot_end));
    std::size_t end = mine.room;
    if (mine.last_is_mapped) {
      if (mine.chunks.size() == 1) {
        const std::size_t step = std::max(ready * row_bytes_, kFirstStep) / row_bytes_ + 1;
        end = std::min(end, std::max(slot_end, ready + step));
      }
      ENGRAM_TRY(commit_block(end));
    }
    ready_.store(end, std::memory_order_release);
  }
  return {};
}

/// Makes room for one row more at least, and for those below `slot_end` if that is cheap.
Status RowBlocks::add_room(std::size_t slot_end) {
  Memory& mine = memory();
  if (moves_) {
    const bool is_on_heap = mine.chunks.empty();
    if (is_on_heap && slot_end <= heap_rows_) return move_on_heap(slot_end);
    return map_block();
  }
  return mine.room < heap_rows_ ? add_heap_blocks(slot_end) : map_block();
}

/// Copies the first block to a place twice as large, or four times while that is small. The former
/// places stay, for those who are reading there: by doubling they would be as large as the last.
Status RowBlocks::move_on_heap(std::size_t slot_end) {
  Memory& mine = memory();
  const std::size_t growth = mine.room * row_bytes_ < kSmallPlace ? 4 : 2;
  const std::size_t wanted = std::max(slot_end, growth * mine.room);
  const std::size_t rows = std::min({wanted, heap_rows_, rows_per_block()});
  auto place = FixedMemory::allocate(rows * row_bytes_);
  if (!place) return tl::unexpected(std::move(place.error()));
  if (!mine.heap.empty()) {
    std::memcpy(place->data(), mine.heap.back().data(), mine.room * row_bytes_);
  }
  ENGRAM_TRY(reserve_table(1));
  mine.heap.push_back(std::move(*place));
  set_block(0, mine.heap.back().data());
  mine.room = rows;
  return {};
}

Status RowBlocks::add_heap_blocks(std::size_t slot_end) {
  Memory& mine = memory();
  const std::size_t slab_rows = std::min(mine.room, kLargestSlab / row_bytes_);
  const std::size_t rows =
      round_up(std::max({slot_end - mine.room, slab_rows, std::size_t{1}}), rows_per_block());
  const std::size_t count = rows / rows_per_block();
  ENGRAM_TRY(reserve_table(mine.blocks + count));
  auto slab = FixedMemory::allocate(count * block_bytes());
  if (!slab) return tl::unexpected(std::move(slab.error()));
  mine.heap.push_back(std::move(*slab));
  for (std::size_t i = 0; i < count; ++i) {
    set_block(mine.blocks, mine.heap.back().data() + i * block_bytes());
  }
  mine.room = mine.blocks << shift_;
  mine.last_is_mapped = false;
  return {};
}

/// For so many blocks, of which `first` is the first. Behind a lead the last one ends within a
/// page, which the next chunk begins with once more.
Result<MappedMemory> RowBlocks::reserve_chunk(std::size_t first, std::size_t blocks) {
  const std::size_t bytes = lead_ + blocks * block_bytes();
  if (pages_ != nullptr) return MappedMemory::map_file(bytes, *pages_, first * block_bytes());
  return MappedMemory::map(bytes, MappedMemory::Access::kNone);
}

/// A block is seldom as long as a huge page, but the blocks of a chunk together are as long as
/// many.
Status RowBlocks::map_block() {
  Memory& mine = memory();
  ENGRAM_TRY(reserve_table(mine.blocks + 1));
  if (mine.chunks.empty() || lead_ + mine.given + block_bytes() > mine.chunks.back().size()) {
    const bool is_first = mine.chunks.empty();
    const std::size_t blocks =
        std::max(kHugePage / block_bytes(), std::size_t{1}) * (is_first ? 1 : kLargerChunk);
    auto chunk = reserve_chunk(mine.blocks, blocks);
    if (!chunk) return tl::unexpected(std::move(chunk.error()));
    if (!is_first && pages_ == nullptr) chunk->prefer_huge_pages();
    mine.chunks.push_back(std::move(*chunk));
    mine.given = 0;
  }
  std::byte* const address = mine.chunks.back().data() + lead_ + mine.given;
  const bool takes_over = moves_ && mine.blocks == 1 && mine.room < rows_per_block();
  if (takes_over) {  // from the heap
    ENGRAM_TRY(mine.chunks.back().commit(mine.room * row_bytes_));
    std::memcpy(address, mine.heap.back().data(), mine.room * row_bytes_);
  }
  set_block(takes_over ? 0 : mine.blocks, address);
  mine.given += block_bytes();
  mine.room = mine.blocks << shift_;
  mine.last_is_mapped = true;
  return {};
}

/// Makes the last block, which is mapped, usable up to the row before `slot_end`.
Status RowBlocks::commit_block(std::size_t slot_end) {
  Memory& mine = memory();
  MappedMemory& chunk = mine.chunks.back();
  const std::size_t begin = (mine.blocks - 1) << shift_;
  const std::size_t end = lead_ + mine.given - block_bytes() + (slot_end - begin) * row_bytes_;
  const bool is_first = mine.chunks.size() == 1;
  return chunk.commit(is_first ? end : std::min(chunk.size(), round_up(end, kHugePage)));
}

/// Makes the table as long as `blocks`, before the first of those to come is in it: where there is
/// no memory for all, none of them is. A table that is full is replaced: what it says stays true
/// for those who are reading it.
Status RowBlocks::reserve_table(std::size_t blocks) {
  Memory& mine = memory();
  if (blocks <= mine.block_capacity) return {};
  const std::size_t capacity = std::max(blocks, 2 * mine.block_capacity);
  std::unique_ptr<Block[]> larger(new (std::nothrow) Block[capacity]);
  if (larger == nullptr) return out_of_heap(capacity * sizeof(Block));
  const Block* const table = blocks_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < mine.blocks; ++i) {
    larger[i].store(table[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  mine.tables.push_back(std::move(larger));
  blocks_.store(mine.tables.back().get(), std::memory_order_release);
  mine.block_capacity = capacity;
  return {};
}

/// Says where a block is: a new one, or the first, which has moved. The table has room for it.
void RowBlocks::set_block(std::size_t block, std::byte* address) noexcept {
  ENGRAM_DASSERT(block < memory_->block_capacity);
  blocks_.load(std::memory_order_relaxed)[block].store(address, std::memory_order_release);
  memory_->blocks = std::max(memory_->blocks, block + 1);
}

std::size_t RowBlocks::bookkeeping_bytes() const noexcept {
  const std::lock_guard lock(mutex_);
  if (memory_ == nullptr) return 0;
  return sizeof(Memory) + memory_->block_capacity * sizeof(Block) +
         memory_->heap.capacity() * sizeof(FixedMemory);
}

std::size_t RowBlocks::section_bytes(std::size_t slot_end) const noexcept {
  return (slot_end >> shift_) * block_bytes() + (slot_end & mask_) * row_bytes_;
}

Status RowBlocks::save(SectionWriter& writer, std::string_view name, const SlotSet& stored) const {
  ENGRAM_TRY(writer.begin(name));
  const Slot end = stored.end();
  const std::size_t piece_rows =
      std::min(rows_per_block(), std::max(kPieceBytes / row_bytes_, std::size_t{1}));
  const std::vector<std::byte> padding(block_bytes() - rows_per_block() * row_bytes_);
  std::vector<std::byte> piece;
  for (Slot begin = 0; begin < end;) {
    const std::size_t count = std::min({piece_rows, std::size_t{end - begin}, run_length(begin)});
    piece.assign(count * row_bytes_, std::byte{0});
    stored.for_each_run(begin, begin + static_cast<Slot>(count), [&](Slot first, std::size_t run) {
      std::memcpy(&piece[(first - begin) * row_bytes_], row(first), run * row_bytes_);
    });
    ENGRAM_TRY(writer.append(piece));
    begin += static_cast<Slot>(count);
    if ((begin & mask_) == 0) ENGRAM_TRY(writer.append(padding));
  }
  return {};
}

Status RowBlocks::load(SectionReader& reader, std::string_view name, std::size_t slot_end) {
  ENGRAM_ASSERT(ready() == 0);
  const auto bytes = reader.size(name);
  if (!bytes) return tl::unexpected(bytes.error());
  ENGRAM_TRY(check_size(name, *bytes, section_bytes(slot_end), slot_end));
  if (slot_end == 0) return {};
  const bool is_small = *bytes <= kCopiedBytes && slot_end <= heap_rows_;
  return is_small ? copy_section(reader, name, slot_end) : place_section(reader, name, slot_end);
}

Status RowBlocks::copy_section(SectionReader& reader, std::string_view name, std::size_t slot_end) {
  const auto bytes = reader.section(name);
  if (!bytes) return tl::unexpected(bytes.error());
  ENGRAM_TRY(ensure(slot_end));
  for (std::size_t begin = 0; begin < slot_end; begin += rows_per_block()) {
    const std::size_t count = std::min(slot_end - begin, rows_per_block());
    std::memcpy(row(static_cast<Slot>(begin)), bytes->data() + begin * row_bytes_,
                count * row_bytes_);
  }
  return {};
}

Status RowBlocks::load_wider(SectionReader& reader, std::string_view name, std::size_t slot_end,
                             std::size_t bytes, std::size_t tail) {
  ENGRAM_ASSERT(ready() == 0 && bytes > row_bytes_ && tail <= row_bytes_);
  const auto section = reader.section(name);
  if (!section) return tl::unexpected(section.error());
  ENGRAM_TRY(check_size(name, section->size(), slot_end * bytes, slot_end));
  ENGRAM_TRY(ensure(slot_end));
  const std::byte* from = section->data();
  for (std::size_t slot = 0; slot < slot_end; ++slot, from += bytes) {
    std::byte* const to = row(static_cast<Slot>(slot));
    std::memcpy(to, from, row_bytes_ - tail);
    std::memcpy(to + row_bytes_ - tail, from + bytes - tail, tail);
  }
  return {};
}

/// One mapping for all blocks, with room for the last to be whole: what follows its last stored row
/// is free for new ones.
Status RowBlocks::place_section(SectionReader& reader, std::string_view name,
                                std::size_t slot_end) {
  ENGRAM_ASSERT(lead_ == 0);
  const std::lock_guard lock(mutex_);
  Memory& mine = memory();
  const std::size_t blocks = ((slot_end - 1) >> shift_) + 1;
  auto chunk = reserve_chunk(0, blocks);
  if (!chunk) return tl::unexpected(std::move(chunk.error()));
  ENGRAM_TRY(chunk->place(reader, name));
  ENGRAM_TRY(reserve_table(blocks));
  for (std::size_t i = 0; i < blocks; ++i) set_block(i, chunk->data() + i * block_bytes());
  mine.given = blocks * block_bytes();
  placement_.store(chunk->placement(), std::memory_order_release);
  mine.chunks.push_back(std::move(*chunk));
  mine.room = blocks << shift_;
  mine.last_is_mapped = true;
  ready_.store(slot_end, std::memory_order_release);
  return {};
}

}  // namespace engram
