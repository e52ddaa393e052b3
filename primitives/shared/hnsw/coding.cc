// SPDX-License-Identifier: Apache-2.0
// The codes that the index keeps beside the store's vectors. The items from which the graph is
// built decide along which axis all are coded, if along any (core/codes.h): before there is a graph
// nothing needs codes. An axis that was found stays, so that whoever replays the same inserts, or
// loads them, has the same codes.
#include <algorithm>
#include <cstring>

#include "primitives/shared/hnsw/hnsw.h"
#include "primitives/shared/hnsw/structure.h"

namespace engram::hnsw {
namespace {

/// How many times as many candidates walks by signs keep. They rank coarsely, and the fewer the
/// more so; vectors beside them make it good. Measured: README.md, "Codes".
std::size_t widening_of_signs(std::size_t dim, bool has_vectors) noexcept {
  constexpr std::size_t kFewSigns = 256;
  constexpr std::size_t kBesideVectors = 4;
  return std::max(kFewSigns / dim, has_vectors ? kBesideVectors : 1);
}

std::span<const float> vector_of(const VectorStore& store, Slot slot) {
  return {reinterpret_cast<const float*>(store.row(slot)), store.dim()};
}

}  // namespace

/// Where the store keeps codes itself, they lie along no axis.
Status Hnsw::prepare_codes() {
  if (config_.quant == Element::kF32) return {};
  const VectorStore& store = context_.store;
  const bool has_vectors = store.element() != config_.quant;
  if (config_.quant == Element::kBin) widening_ = widening_of_signs(store.dim(), has_vectors);
  if (!has_vectors) return code_along({});
  codes_ =
      std::make_unique<RowBlocks>(row_bytes(config_.quant, store.metric(), store.dim()), kCodeRows);
  return {};
}

/// Finds the axis from the rows of `first`, unless the index keeps no codes or has begun already.
Status Hnsw::begin_coding(std::span<const Slot> first) {
  if (codes_ == nullptr || compares_codes()) return {};
  const VectorStore& store = context_.store;
  std::vector<float> rows;
  for (const Slot slot : first) {
    const auto vector = vector_of(store, slot);
    rows.insert(rows.end(), vector.begin(), vector.end());
  }
  return code_along(find_axis(config_.quant, store.metric(), rows, store.dim()));
}

/// Walks compare codes along `axis`, or along none.
Status Hnsw::code_along(std::vector<float> axis) {
  const VectorStore& store = context_.store;
  auto estimator =
      make_estimator(context_.kernel.name(), store.metric(), store.dim(), config_.quant, axis);
  if (!estimator) return tl::unexpected(std::move(estimator.error()));
  estimator_ = std::move(*estimator);
  axis_ = std::move(axis);
  return {};
}

/// Codes the slot's row, if the index keeps codes of its own.
Status Hnsw::encode(Slot slot) {
  if (codes_ == nullptr) return {};
  ENGRAM_TRY(codes_->ensure(std::size_t{slot} + 1));
  const VectorStore& store = context_.store;
  const auto vector = vector_of(store, slot);
  std::byte* const row = codes_->row(slot);
  if (axis_.empty()) {
    encode_codes(config_.quant, store.metric(), vector, row);
  } else {
    encode_along(config_.quant, store.metric(), axis_, vector, row);
  }
  return {};
}

/// Where codes are the index's own.
Status Hnsw::load_codes(SectionReader& reader, const Header& header) {
  std::vector<float> axis;
  if ((header.quant & kAlongAxis) != 0) {
    const auto bytes = reader.section(kAxisSection);
    if (!bytes) return tl::unexpected(bytes.error());
    axis.resize(context_.store.dim());
    if (bytes->size() != axis.size() * sizeof(float)) {
      return fail(ErrorCode::kDataLoss, "hnsw structure: the axis of codes has another dimension");
    }
    std::memcpy(axis.data(), bytes->data(), bytes->size());
  }
  const VectorStore& store = context_.store;
  const std::size_t whole_lines = whole_line_row_bytes(config_.quant, store.metric(), store.dim());
  if (header.version < kPackedCodesVersion && codes_->row_bytes() != whole_lines) {
    ENGRAM_TRY(codes_->load_wider(reader, kCodesSection, header.slot_end, whole_lines,
                                  header_bytes(store.metric())));
  } else {
    ENGRAM_TRY(codes_->load(reader, kCodesSection, header.slot_end));
  }
  return code_along(std::move(axis));
}

}  // namespace engram::hnsw
