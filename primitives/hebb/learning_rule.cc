// SPDX-License-Identifier: Apache-2.0
#include "primitives/hebb/learning_rule.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/option_reading.h"
#include "primitives/hebb/symmetric_matrix.h"
#include "primitives/shared/signs/pairwise_signs.h"

namespace engram::hebb {
namespace {

/// A state that has not come to rest after so many turns is unlearned as it is.
constexpr std::size_t kMostTurns = 100;

constexpr std::pair<std::string_view, Rule> kOptionsOfRules[] = {
    {"SLEEP", Rule::kDream},
    {"ROUNDS", Rule::kUnlearn},
    {"RATE", Rule::kUnlearn},
    {"SEED", Rule::kUnlearn},
};

/// A journal gives all options, those that VNEW did not give as well.
bool is_default(const Options& options, std::string_view name) {
  const auto schema = options.schema();
  const auto found = std::find_if(schema.begin(), schema.end(),
                                  [&](const OptionSpec& spec) { return spec.name == name; });
  const auto at = static_cast<std::size_t>(found - schema.begin());
  return options.text(at) == found->default_text();
}

void dream(double sleep, std::span<double> j, std::size_t dim) {
  if (sleep == 0) return;
  for (double& value : j) value *= sleep;
  for (std::size_t i = 0; i < dim; ++i) j[i * dim + i] += 1;
  invert(j, dim);
  // (1 + t) M (I + t M)^-1 = (1 + t) / t (I - (I + t M)^-1), and the diagonal counts for nothing.
  for (double& value : j) value *= -(1 + sleep) / sleep;
}

void unlearn(const Learning& learning, std::span<double> j, std::size_t dim) {
  std::vector<float> state(dim);
  const double rate = learning.rate / static_cast<double>(dim);
  for (std::size_t round = 0; round < learning.rounds; ++round) {
    for (std::size_t i = 0; i < dim; ++i) {
      const std::uint64_t bits = mix(mix(learning.seed) ^ mix(round * dim + i));
      state[i] = bits >> 63 != 0 ? 1.0F : -1.0F;
    }
    recall::SignState signs({.vector = state}, dim);
    recall::PairwiseSigns<double, double> network(dim, kLeastField);
    for (std::size_t turn = 0; turn < kMostTurns && network.update(signs, j); ++turn) {
    }
    for (std::size_t i = 0; i < dim; ++i) {
      const double by = rate * signs.sign(i);
      for (std::size_t k = 0; k < dim; ++k) j[i * dim + k] -= by * signs.sign(k);
    }
  }
}

}  // namespace

Result<Learning> read_learning(const Options& options) {
  Learning learning;
  read_choice(options, "RULE", kRuleNames, learning.rule);
  read_real(options, "SLEEP", learning.sleep);
  read_count(options, "ROUNDS", learning.rounds);
  read_real(options, "RATE", learning.rate);
  learning.seed = static_cast<std::uint64_t>(options.integer("SEED"));
  const std::string rule(kRuleNames[static_cast<std::size_t>(learning.rule)]);
  for (const auto& [name, owner] : kOptionsOfRules) {
    if (owner == learning.rule || is_default(options, name)) continue;
    return fail(ErrorCode::kInvalidArgument,
                "option " + std::string(name) + " is of RULE " +
                    std::string(kRuleNames[static_cast<std::size_t>(owner)]) + ", got RULE " +
                    rule);
  }
  return learning;
}

Result<FixedMemory> learn(const Learning& learning, std::span<const std::int32_t> sum,
                          std::size_t dim) {
  auto memory = FixedMemory::allocate(dim * dim * sizeof(double));
  if (!memory) return memory;
  const std::span j(reinterpret_cast<double*>(memory->data()), dim * dim);
  for (std::size_t i = 0; i < j.size(); ++i) j[i] = sum[i] / static_cast<double>(dim);
  switch (learning.rule) {
    case Rule::kHebb:
      break;
    case Rule::kPseudoinverse:
      ENGRAM_TRY(make_projector(j, dim));
      break;
    case Rule::kDream:
      dream(learning.sleep, j, dim);
      break;
    case Rule::kUnlearn:
      unlearn(learning, j, dim);
      break;
  }
  return memory;
}

}  // namespace engram::hebb
