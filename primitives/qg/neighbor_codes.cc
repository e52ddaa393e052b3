// SPDX-License-Identifier: Apache-2.0
#include "primitives/qg/neighbor_codes.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>

#include "core/assert.h"
#include "core/kernel.h"
#include "core/prefetch.h"

namespace engram::qg {
namespace {

constexpr std::string_view kMeanSection = "qg.mean";
constexpr std::string_view kCodesSection = "qg.codes";

/// A query's components are whole numbers from -kMostSteps to kMostSteps, so that four of them,
/// made positive, fit in a byte.
constexpr int kMostSteps = 31;
constexpr int kEntryOffset = 4 * kMostSteps;
static_assert(2 * kEntryOffset < 256);

/// The width of a code's interval that leaves the least error of components that are normally
/// distributed with deviation 1 [Max1960, table II]; by bits.
constexpr std::array<double, kMaxBits + 1> kWidths = {0, 1.596, 0.9957, 0.5860, 0.3352};

/// Queries of which no component is larger are taken for zero: float32 has no steps for them.
constexpr float kLeastComponent = 0x1p-100F;

/// `value`, which is whole, or the bound that it exceeds; of NaN, which rows may hold that are not
/// verified yet, the lower one.
int whole_within(int least, float value, int greatest) noexcept {
  const float bounded = std::max(static_cast<float>(least), value);
  return static_cast<int>(std::min(static_cast<float>(greatest), bounded));
}

/// The whole number next to `value`, which is less than 2^22. Without a call: where 1.5 * 2^23 is
/// added, a float32 has no fraction.
std::int32_t nearest_whole(float value) noexcept {
  constexpr float kNoFraction = 12'582'912;
  return std::bit_cast<std::int32_t>(value + kNoFraction) -
         std::bit_cast<std::int32_t>(kNoFraction);
}

/// Whether a mean of vectors may have this component. Rows that are not verified yet may hold
/// anything.
bool is_of_mean(float component) noexcept {
  return std::abs(double{component}) <= kMaxNorm;
}

double product(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t j = 0; j < a.size(); ++j) sum += double{a[j]} * double{b[j]};
  return sum;
}

}  // namespace

Result<std::unique_ptr<NeighborCodes>> NeighborCodes::create(const IndexContext& context,
                                                             const CodeConfig& config) {
  const auto scan = find_block_scan(context.kernel.name());
  if (!scan) return tl::unexpected(scan.error());
  return std::unique_ptr<NeighborCodes>(new NeighborCodes(context, config, *scan));
}

NeighborCodes::NeighborCodes(const IndexContext& context, const CodeConfig& config, BlockScan scan)
    : context_(context),
      config_(config),
      scan_(scan),
      rotation_(context.store.dim(), config.seed),
      mean_(context.store.dim()),
      rows_(config.degree / kBlockCodes * block_stride(), kCodeRows) {}

std::size_t NeighborCodes::max_dimension(std::size_t degree, std::size_t bits) noexcept {
  const std::size_t plane_bytes =
      (kHugePage / (degree / kBlockCodes) - sizeof(Numbers)) / bits;  // at most
  constexpr std::size_t kGroupsOfSize = 4;  // a rotation's size is a multiple of 16 components
  const std::size_t step = block_bytes(kGroupsOfSize);
  return std::min(kMaxDimension, plane_bytes / step * kGroupsOfSize * kGroupBits);
}

std::span<const float> NeighborCodes::vector(Slot slot) const noexcept {
  return {reinterpret_cast<const float*>(context_.store.row(slot)), context_.store.dim()};
}

/// How much longer a query is taken than it is: t.
double NeighborCodes::scale_of(std::span<const float> query) const noexcept {
  constexpr double kMost = 0x1p60;  // float32 has the inverse, and products with it
  if (context_.store.metric() != Metric::kDot) return 1;
  const double norm = std::sqrt(product(query, query));
  if (norm == 0 || norm_ == 0) return 1;
  return std::clamp(double{norm_} / norm, 1 / kMost, kMost);
}

/// Leaves P(scale vector - m) in `rotated`.
void NeighborCodes::rotate(std::span<const float> vector, float scale,
                           std::span<float> rotated) const noexcept {
  for (std::size_t j = 0; j < vector.size(); ++j) rotated[j] = scale * vector[j] - mean_[j];
  std::fill(rotated.begin() + static_cast<std::ptrdiff_t>(vector.size()), rotated.end(), 0.0F);
  rotation_.apply(rotated);
}

const std::vector<float>& NeighborCodes::rotated(Slot slot, Rotated& kept) const {
  if (kept.slot != slot) {
    kept.values.resize(rotation_.size());
    rotate(vector(slot), 1, kept.values);
    kept.slot = slot;
  }
  return kept.values;
}

void NeighborCodes::prepare(Query query, CodedQuery& coded) const {
  const std::span<const float> values(reinterpret_cast<const float*>(query.data),
                                      context_.store.dim());
  const double scale = scale_of(values);
  coded.per_scale = static_cast<float>(1 / scale);
  coded.rotated.resize(rotation_.size());
  rotate(values, static_cast<float>(scale), coded.rotated);
  float greatest = 0;
  for (const float value : coded.rotated) greatest = std::max(greatest, std::abs(value));
  const bool is_zero = greatest < kLeastComponent;
  coded.step = is_zero ? 0 : greatest / kMostSteps;
  const float per_unit = is_zero ? 0 : kMostSteps / greatest;
  coded.steps.resize(rotation_.size());
  for (std::size_t j = 0; j < coded.steps.size(); ++j) {
    coded.steps[j] = nearest_whole(coded.rotated[j] * per_unit);
  }
  coded.table.resize(groups() * kGroupEntries);
  for (std::size_t g = 0; g < groups(); ++g) {
    const std::int32_t* const steps = coded.steps.data() + g * kGroupBits;
    std::uint8_t* const entries = coded.table.data() + g * kGroupEntries;
    entries[0] =
        static_cast<std::uint8_t>(kEntryOffset - steps[0] - steps[1] - steps[2] - steps[3]);
    for (std::size_t j = 0; j < kGroupBits; ++j) {
      const std::size_t bit = std::size_t{1} << j;
      for (std::size_t e = 0; e < bit; ++e) {
        entries[bit + e] = static_cast<std::uint8_t>(entries[e] + 2 * steps[j]);
      }
    }
  }
}

void NeighborCodes::prefetch(Slot node) const noexcept {
  constexpr std::size_t kLines = 8;
  const std::byte* const row = rows_.row(node);
  const std::size_t bytes = std::min(rows_.row_bytes(), kLines * kRowAlignment);
  for (std::size_t i = 0; i < bytes; i += kRowAlignment) engram::prefetch(row + i);
}

void NeighborCodes::estimate(const CodedQuery& query, Slot node, float score,
                             std::span<float> estimates) const noexcept {
  const auto middle = static_cast<std::int32_t>(groups()) * kEntryOffset;
  const std::byte* block = rows_.row(node);
  for (std::size_t begin = 0; begin < config_.degree; begin += kBlockCodes) {
    std::array<std::int32_t, kBlockCodes> totals{};
    for (std::size_t plane = 0; plane < config_.bits; ++plane) {
      std::array<std::int32_t, kBlockCodes> sums;
      scan_(groups(), block, query.table.data(), sums.data());
      for (std::size_t i = 0; i < kBlockCodes; ++i) totals[i] += (sums[i] - middle) * (1 << plane);
      block += plane_bytes();
    }
    Numbers numbers;
    std::memcpy(&numbers, block, sizeof numbers);
    block += sizeof numbers;
    for (std::size_t i = 0; i < kBlockCodes; ++i) {
      const float product = numbers.factor[i] * (query.step * static_cast<float>(totals[i]));
      estimates[begin + i] = score + (numbers.base[i] - product) * query.per_scale;
    }
  }
}

Status NeighborCodes::begin(std::span<const Slot> first) {
  std::vector<double> sums(mean_.size());
  double squares = 0;
  for (const Slot slot : first) {
    const auto values = vector(slot);
    for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += double{values[j]};
    squares += product(values, values);
  }
  for (std::size_t j = 0; j < sums.size(); ++j) {
    const auto mean = static_cast<float>(sums[j] / static_cast<double>(first.size()));
    mean_[j] = is_of_mean(mean) ? mean : 0;
  }
  const auto norm = static_cast<float>(std::sqrt(squares / static_cast<double>(first.size())));
  norm_ = is_of_mean(norm) ? norm : 0;
  return {};
}

Status NeighborCodes::add_node(Slot slot) {
  if (center_.slot == slot) center_.slot = kNoSlot;  // another vector lies there now
  if (neighbor_.slot == slot) neighbor_.slot = kNoSlot;
  return rows_.ensure(std::size_t{slot} + 1);
}

/// Codes `neighbor` into a place of the node's row.
void NeighborCodes::encode(Slot node, Slot neighbor, std::size_t place, std::byte* row) {
  const std::vector<float>& center = rotated(node, center_);
  const std::vector<float>& other = rotated(neighbor, neighbor_);
  const std::size_t size = rotation_.size();
  residual_.resize(size);
  for (std::size_t j = 0; j < size; ++j) residual_[j] = other[j] - center[j];
  const double square = product(residual_, residual_);
  const auto levels = static_cast<int>(1U << config_.bits);
  const double width = kWidths[config_.bits] * std::sqrt(square / static_cast<double>(size));
  const auto per_unit = static_cast<float>(width > 0 ? 1 / width : 0);

  std::byte* const codes = block(row, place);
  const std::size_t lane = place % kBlockCodes;
  double with_residual = 0;
  double with_center = 0;
  for (std::size_t g = 0; g < groups(); ++g) {
    std::array<unsigned, kMaxBits> planes{};
    for (std::size_t k = 0; k < kGroupBits; ++k) {
      const std::size_t j = g * kGroupBits + k;
      const float interval = std::floor(residual_[j] * per_unit);
      const int code = levels / 2 + whole_within(-levels / 2, interval, levels / 2 - 1);
      const int odd = 2 * code + 1 - levels;
      with_residual += odd * double{residual_[j]};
      with_center += odd * double{center[j]};
      for (std::size_t b = 0; b < config_.bits; ++b) {
        planes[b] |= (static_cast<unsigned>(code) >> b & 1U) << k;
      }
    }
    for (std::size_t b = 0; b < config_.bits; ++b) {
      set_group(codes + b * plane_bytes(), lane, g, planes[b]);
    }
  }

  const double ratio = with_residual > 0 ? square / with_residual : 0;
  double base = ratio * with_center;
  double factor = ratio;
  if (context_.store.metric() == Metric::kL2) {
    base = square + 2 * base;
    factor = 2 * ratio;
  } else {
    base -= product(vector(node), vector(neighbor)) - product(vector(node), vector(node));
  }
  std::byte* const numbers = codes + config_.bits * plane_bytes();
  const auto base_float = static_cast<float>(base);
  const auto factor_float = static_cast<float>(factor);
  std::memcpy(numbers + offsetof(Numbers, base) + lane * sizeof(float), &base_float, sizeof(float));
  std::memcpy(numbers + offsetof(Numbers, factor) + lane * sizeof(float), &factor_float,
              sizeof(float));
}

/// Copies what place `place` of the row `from` has to place `to` of `row`.
void NeighborCodes::copy(const std::byte* from, std::size_t place, std::byte* row,
                         std::size_t to) const noexcept {
  const std::byte* source = from + place / kBlockCodes * block_stride() + place % kBlockCodes;
  std::byte* target = block(row, to) + to % kBlockCodes;
  const std::size_t code_bytes = config_.bits * plane_bytes();
  for (std::size_t i = 0; i < code_bytes; i += kBlockCodes) target[i] = source[i];
  source += code_bytes + (sizeof(float) - 1) * (place % kBlockCodes);
  target += code_bytes + (sizeof(float) - 1) * (to % kBlockCodes);
  std::memcpy(target + offsetof(Numbers, base), source + offsetof(Numbers, base), sizeof(float));
  std::memcpy(target + offsetof(Numbers, factor), source + offsetof(Numbers, factor),
              sizeof(float));
}

void NeighborCodes::appended(Slot node, std::size_t i, Slot neighbor) {
  encode(node, neighbor, i, rows_.row(node));
}

void NeighborCodes::assigned(Slot node, const hnsw::LinkList& links, std::span<const Slot> before) {
  std::byte* const row = rows_.row(node);
  old_row_.assign(row, row + rows_.row_bytes());
  const std::size_t count = links.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Slot neighbor = links[i];
    const auto was = static_cast<std::size_t>(std::find(before.begin(), before.end(), neighbor) -
                                              before.begin());
    if (was == i) continue;
    if (was < before.size()) {
      copy(old_row_.data(), was, row, i);
    } else {
      encode(node, neighbor, i, row);
    }
  }
}

Status NeighborCodes::save(SectionWriter& writer, const SlotSet& nodes) const {
  ENGRAM_TRY(writer.begin(kMeanSection));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(mean_))));
  ENGRAM_TRY(writer.append(std::as_bytes(std::span(&norm_, 1))));
  return rows_.save(writer, kCodesSection, nodes);
}

Status NeighborCodes::load(SectionReader& reader, std::size_t slot_end) {
  const auto bytes = reader.section(kMeanSection);
  if (!bytes) return tl::unexpected(bytes.error());
  const std::size_t mean_bytes = mean_.size() * sizeof(float);
  if (bytes->size() != mean_bytes + sizeof norm_) {
    return fail(ErrorCode::kDataLoss,
                "qg structure: the mean has " + std::to_string(bytes->size()) + " bytes, " +
                    std::to_string(mean_bytes + sizeof norm_) + " were expected");
  }
  std::memcpy(mean_.data(), bytes->data(), mean_bytes);
  std::memcpy(&norm_, bytes->data() + mean_bytes, sizeof norm_);
  if (!std::all_of(mean_.begin(), mean_.end(), is_of_mean) || !is_of_mean(norm_) || norm_ < 0) {
    return fail(ErrorCode::kDataLoss,
                "qg structure: the mean has a component that is not finite, or too large");
  }
  return rows_.load(reader, kCodesSection, slot_end);
}

}  // namespace engram::qg
