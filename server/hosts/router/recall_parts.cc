// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/recall_parts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "core/text.h"

namespace engram::router {
namespace {

/// Reads the fields of one answer, and remembers whether one was not there.
class Fields {
 public:
  explicit Fields(const Reply& reply) : reply_(reply) {}

  [[nodiscard]] bool is_sound() const noexcept { return is_sound_; }

  const Reply* find(std::string_view name) {
    const Reply* const field = reply_.find(name);
    is_sound_ = is_sound_ && field != nullptr;
    return field;
  }

  /// Zero for null.
  double number(std::string_view name) {
    const Reply* const field = find(name);
    return field == nullptr || field->is_null() ? 0 : read(*field);
  }

  double read(const Reply& field) {
    if (field.kind == Reply::Kind::kInteger) return static_cast<double>(field.integer);
    const auto number = parse_number<double>(field.text);
    is_sound_ = is_sound_ && number.has_value();
    return number.value_or(0);
  }

  bool flag(std::string_view name) {
    const Reply* const field = find(name);
    return field != nullptr && field->integer != 0;
  }

  std::vector<float> vector(std::string_view name, std::size_t dim, bool may_be_empty) {
    const Reply* const field = find(name);
    if (field == nullptr || (may_be_empty && field->text.empty())) return {};
    std::vector<float> values(dim);
    is_sound_ = is_sound_ && field->text.size() == dim * sizeof(float);
    if (is_sound_) std::memcpy(values.data(), field->text.data(), field->text.size());
    return values;
  }

 private:
  const Reply& reply_;
  bool is_sound_ = true;
};

template <class Weight>
std::size_t heaviest(std::span<const PartRecall> parts, const Shares& shares, Weight weight) {
  std::size_t best = 0;
  for (std::size_t p = 1; p < parts.size(); ++p) {
    if (shares.of[p] * weight(parts[p]) > shares.of[best] * weight(parts[best])) best = p;
  }
  return best;
}

}  // namespace

Result<PartRecall> part_recall(const Reply& reply, std::size_t dim) {
  Fields fields(reply);
  PartRecall part;
  part.beta = fields.number("beta");
  constexpr double kMostItems = 1e15;  // of a node that can count
  const double items = std::min(std::max(0.0, fields.number("items")), kMostItems);
  part.mean.items = static_cast<std::size_t>(items);
  part.mean.log_mass = fields.number("mass");
  part.mean.vector = fields.vector("mean", dim, true);
  part.state = fields.vector("state", dim, false);
  part.weight = fields.number("weight");
  part.posterior = fields.number("posterior");
  part.entropy = fields.number("entropy");
  part.effective_count = fields.number("neff");
  part.distance = fields.number("distance");
  part.truncated = fields.number("trunc");
  part.outside = fields.flag("outside");
  const Reply* const certainty = fields.find("cert");
  part.exact = certainty != nullptr && certainty->text == "exact";
  for (const std::string_view name : {"attractor", "onestep", "support"}) fields.find(name);
  const Reply* const energies = fields.find("energy");
  if (energies != nullptr && !energies->items.empty()) {
    part.energy = fields.read(energies->items.back());
  }
  if (part.mean.items > 0) {
    part.fields = &reply;
  } else {  // it has no share, whatever it says of its energy
    part.energy = std::numeric_limits<double>::infinity();
    part.mean.vector.clear();
  }
  if (fields.is_sound()) return part;
  return fail(ErrorCode::kDataLoss, "what it answers is not what a recall answers");
}

Shares shares_of(std::span<const double> logs) {
  Shares shares;
  shares.of.assign(logs.size(), 0.0);
  double greatest = -std::numeric_limits<double>::infinity();
  for (const double log : logs) {
    if (std::isfinite(log)) greatest = std::max(greatest, log);
  }
  if (!std::isfinite(greatest)) return shares;
  double sum = 0;
  for (std::size_t p = 0; p < logs.size(); ++p) {
    if (!std::isfinite(logs[p])) continue;
    shares.of[p] = std::exp(logs[p] - greatest);
    sum += shares.of[p];
  }
  for (double& share : shares.of) share /= sum;
  shares.log_sum = greatest + std::log(sum);
  return shares;
}

Shares energy_shares(std::span<const PartRecall> parts) {
  std::vector<double> logs;
  logs.reserve(parts.size());
  for (const PartRecall& part : parts) logs.push_back(-part.beta * part.energy);
  return shares_of(logs);
}

std::vector<double> mean_of(std::span<const PartRecall> parts) {
  std::vector<double> logs;
  std::size_t dim = 0;
  for (const PartRecall& part : parts) {
    const bool has_mean = !part.mean.vector.empty();
    logs.push_back(has_mean ? part.mean.log_mass : -std::numeric_limits<double>::infinity());
    dim = std::max(dim, part.mean.vector.size());
  }
  const Shares shares = shares_of(logs);
  std::vector<double> mean(dim);
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (shares.of[p] == 0) continue;
    for (std::size_t i = 0; i < dim; ++i) {
      mean[i] += shares.of[p] * double{parts[p].mean.vector[i]};
    }
  }
  return mean;
}

double entropy_of(std::span<const PartRecall> parts, const Shares& shares) {
  double entropy = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const double share = shares.of[p];
    if (share > 0) entropy += share * (parts[p].entropy - std::log(share));
  }
  return entropy;
}

double effective_count_of(std::span<const PartRecall> parts, const Shares& shares) {
  double squares = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const double share = shares.of[p];
    if (share > 0) squares += share * share / parts[p].effective_count;
  }
  return squares > 0 ? 1 / squares : 0;
}

std::size_t heaviest_at_state(std::span<const PartRecall> parts, const Shares& shares) {
  return heaviest(parts, shares, [](const PartRecall& part) { return part.weight; });
}

std::size_t heaviest_at_cue(std::span<const PartRecall> parts, const Shares& shares) {
  return heaviest(parts, shares, [](const PartRecall& part) { return part.posterior; });
}

std::vector<SupportRow> support_of(std::span<const PartRecall> parts, const Shares& shares,
                                   std::size_t stride, std::size_t top) {
  std::vector<SupportRow> rows;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    if (shares.of[p] == 0) continue;
    const std::vector<Reply>& support = parts[p].fields->find("support")->items;
    for (std::size_t i = 0; i + stride <= support.size(); i += stride) {
      const double weight = parse_number<double>(support[i + 1].text).value_or(0);
      if (weight > 0) rows.push_back({shares.of[p] * weight, &support[i]});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const SupportRow& a, const SupportRow& b) { return a.weight > b.weight; });
  if (rows.size() > top) rows.resize(top);
  return rows;
}

}  // namespace engram::router
