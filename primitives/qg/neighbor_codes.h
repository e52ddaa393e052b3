// SPDX-License-Identifier: Apache-2.0
// Codes of a node's neighbours that lie with the node, in the order of its links: one scan of them
// estimates the scores of all, and no neighbour's row is fetched for it [Gou2025].
//
// With c the node's vector, o a neighbour's, m the mean of the first items and P the rotation,
// r = P(o - c) is coded by `bits` bits a component: component j stands for s[j] = 2 code[j] + 1 -
// 2^bits, an odd number, in proportion. With a = |r|^2 / <s, r> the estimate a <s, y> of the
// product <r, y> is not biased by the rounding of r [Gao2024, section 3.2; Gao2025]. Of the query y
// = P(q - m) is known once for all nodes, and what the node's own P(c - m) adds is a number that
// lies with the code. So, T standing for <s, y>,
//   l2            |q - o|^2 = |q - c|^2 + base - factor T,
//                 base = |r|^2 + 2 a <s, P(c - m)>, factor = 2 a
//   cosine, dot   -q.o = -q.c + base - factor T,
//                 base = -c.(o - c) + a <s, P(c - m)>, factor = a
// where the first term is the node's exact score, which the walk has anyway. The error is that of
// the product of r and q - c, and so the smaller the nearer the node is to the query.
//
// Under dot the query's length says nothing of which items are near it, but the error grows with
// that of q - c. So the query is taken t times as long, as long as items are, and what is estimated
// of it is divided by t.
//
// y is rounded to steps of a 31st of its greatest component; then T is a sum of table entries
// (core/block_scan.h), one table for four components.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/block_scan.h"
#include "core/index.h"
#include "core/row_blocks.h"
#include "primitives/qg/rotation.h"
#include "primitives/shared/hnsw/list_follower.h"

namespace engram::qg {

/// What codes are made of.
struct CodeConfig {
  std::size_t degree = 32;  ///< places of a list: a multiple of kBlockCodes
  std::size_t bits = 1;     ///< of a component: 1 to kMaxBits
  std::uint64_t seed = 42;  ///< draws the rotation
};

inline constexpr std::size_t kMaxBits = 4;

/// A query in the form that scans want. Memory is kept from query to query.
struct CodedQuery {
  std::vector<float> rotated;       // [size of the rotation]
  std::vector<std::int32_t> steps;  // [size of the rotation]
  std::vector<std::uint8_t> table;  // [groups][16]
  float step = 0;                   // of its components
  float per_scale = 1;              // 1 / t
};

/// The codes of all nodes. Threads: changes come alone; estimates from any number of threads.
class NeighborCodes final : public hnsw::ListFollower {
 public:
  /// Errors: make_kernel()'s for the kernel's name.
  static Result<std::unique_ptr<NeighborCodes>> create(const IndexContext& context,
                                                       const CodeConfig& config);

  /// Of how many dimensions vectors may be, for a node's codes to lie in one row.
  static std::size_t max_dimension(std::size_t degree, std::size_t bits) noexcept;

  std::size_t degree() const noexcept { return config_.degree; }
  bool is_l2() const noexcept { return context_.store.metric() == Metric::kL2; }

  /// Makes a search's query one for estimate().
  void prepare(Query query, CodedQuery& coded) const;

  /// Asks for a node's codes to be fetched into cache: their beginning, the rest follows.
  void prefetch(Slot node) const noexcept;

  /// estimates[i]: of the score of the neighbour in place i of the node's list; what stands for an
  /// empty place is anything. score: the node's own. estimates: [degree].
  void estimate(const CodedQuery& query, Slot node, float score,
                std::span<float> estimates) const noexcept;

  std::size_t memory_bytes() const noexcept {
    return rows_.ready() * rows_.row_bytes() + rows_.bookkeeping_bytes();
  }

  Status begin(std::span<const Slot> first) override;
  Status add_node(Slot slot) override;
  void appended(Slot node, std::size_t i, Slot neighbor) override;
  void assigned(Slot node, const hnsw::LinkList& links, std::span<const Slot> before) override;
  Status save(SectionWriter& writer, const SlotSet& nodes) const override;
  Status load(SectionReader& reader, std::size_t slot_end) override;

 private:
  /// The numbers beside the codes of a block.
  struct Numbers {
    std::array<float, kBlockCodes> base;
    std::array<float, kBlockCodes> factor;
  };

  /// A node's vector, as it is and rotated.
  struct Rotated {
    Slot slot = kNoSlot;
    std::vector<float> values;  // [size of the rotation]
  };

  NeighborCodes(const IndexContext& context, const CodeConfig& config, BlockScan scan);

  std::size_t groups() const noexcept { return rotation_.size() / kGroupBits; }
  std::size_t plane_bytes() const noexcept { return block_bytes(groups()); }
  std::size_t block_stride() const noexcept {
    return config_.bits * plane_bytes() + sizeof(Numbers);
  }
  std::byte* block(std::byte* row, std::size_t place) const noexcept {
    return row + place / kBlockCodes * block_stride();
  }
  std::span<const float> vector(Slot slot) const noexcept;
  double scale_of(std::span<const float> query) const noexcept;
  void rotate(std::span<const float> vector, float scale, std::span<float> rotated) const noexcept;
  const std::vector<float>& rotated(Slot slot, Rotated& kept) const;
  void encode(Slot node, Slot neighbor, std::size_t place, std::byte* row);
  void copy(const std::byte* from, std::size_t place, std::byte* row,
            std::size_t to) const noexcept;

  const IndexContext context_;
  const CodeConfig config_;
  const BlockScan scan_;
  const Rotation rotation_;
  std::vector<float> mean_;  // [dim]
  float norm_ = 0;           // of the first items: the root of the mean square
  RowBlocks rows_;           // by node: for each block its planes of codes, and Numbers
  // What changes work with.
  Rotated center_;
  Rotated neighbor_;
  std::vector<float> residual_;
  std::vector<std::byte> old_row_;
};

}  // namespace engram::qg
