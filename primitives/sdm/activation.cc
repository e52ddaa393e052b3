// SPDX-License-Identifier: Apache-2.0
#include "primitives/sdm/activation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace engram::sdm {
namespace {

/// Probabilities of fair coins.
class Coins {
 public:
  /// up to: how many coins at most.
  explicit Coins(std::size_t up_to) : log_factorials_(up_to + 1) {
    for (std::size_t i = 1; i <= up_to; ++i) {
      log_factorials_[i] = log_factorials_[i - 1] + std::log(static_cast<double>(i));
    }
  }

  /// ln P[`heads` of `coins` are heads], heads <= coins.
  double log_share(std::size_t coins, std::size_t heads) const {
    return log_factorials_[coins] - log_factorials_[heads] - log_factorials_[coins - heads] -
           static_cast<double>(coins) * std::numbers::ln2;
  }

  /// ln P[at most `heads` of `coins` are heads].
  double log_tail(std::size_t coins, std::size_t heads) const {
    if (heads >= coins) return 0;
    const double greatest = log_share(coins, std::min(heads, coins / 2));
    double sum = 0;
    for (std::size_t k = 0; k <= heads; ++k) sum += std::exp(log_share(coins, k) - greatest);
    return greatest + std::log(sum);
  }

 private:
  std::vector<double> log_factorials_;
};

/// The addresses that are active for a state and for an item. All counts of mismatches are signed,
/// for they are ends of ranges that may be empty.
class Joint {
 public:
  Joint(std::size_t known, std::size_t unknown, std::size_t radius)
      : coins_(known + unknown),
        known_(static_cast<long>(known)),
        unknown_(static_cast<long>(unknown)),
        radius_(static_cast<long>(radius)),
        reach_((2 * radius_ - unknown_) / 2),
        log_state_(coins_.log_tail(known, static_cast<std::size_t>(reach_))) {}

  /// ln of the share that is active for the state.
  double log_state() const { return log_state_; }

  /// Of the addresses that are active for the state, those that are for an item all of whose known
  /// signs are others: a mismatch with one is none with the other.
  double share_of_opposite() const {
    double tail = 0;
    double share = 0;
    for (long hidden = 0, k = known_ - radius_; k <= std::min(reach_, known_); ++k) {
      // The first that may be has no mismatch among the unknown signs.
      for (; hidden <= std::min(radius_ - known_ + k, unknown_); ++hidden) {
        tail += std::exp(log_share(unknown_, hidden));
      }
      if (k >= 0) share += std::exp(log_share(known_, k) - log_state_) * tail;
    }
    return share;
  }

  /// What is lost of them where the mismatches become one more. Only addresses are lost for which
  /// the sign in question decides about both, because the others alone are as many mismatches as
  /// may be; and it decides for both alike in half of all cases.
  double lost_by(long mismatches) const {
    const long agreeing = known_ - 1 - mismatches;
    const long spare = radius_ - reach_ - mismatches;  // hidden mismatches, were j = 0
    const long first = std::max({0L, reach_ - agreeing, (1 - spare) / 2});
    const long last = std::min({mismatches, reach_, (unknown_ - spare) / 2});
    double sum = 0;
    for (long j = first; j <= last; ++j) {
      sum += std::exp(log_share(mismatches, j) + log_share(agreeing, reach_ - j) +
                      log_share(unknown_, spare + 2 * j) - log_state_);
    }
    return sum / 2;
  }

 private:
  double log_share(long coins, long heads) const {
    return coins_.log_share(static_cast<std::size_t>(coins), static_cast<std::size_t>(heads));
  }

  const Coins coins_;
  const long known_;
  const long unknown_;
  const long radius_;
  const long reach_;  // known signs in which a location that is active for the state may differ
  const double log_state_;
};

}  // namespace

double log_activation(std::size_t dim, std::size_t radius) {
  return Coins(dim).log_tail(dim, radius);
}

std::size_t choose_radius(std::size_t dim, std::size_t locations) {
  // The radius must not depend on how a machine rounds where the share is the wanted one.
  constexpr double kRounding = 1e-9;
  const double wanted = (1 - kRounding) / std::sqrt(static_cast<double>(locations));
  const Coins coins(dim);
  std::size_t radius = 0;
  double share = std::exp(coins.log_share(dim, 0));
  while (share < wanted && radius < dim) share += std::exp(coins.log_share(dim, ++radius));
  return radius;
}

std::vector<double> log_joint_activation(std::size_t known, std::size_t unknown,
                                         std::size_t radius) {
  std::vector<double> shares(known + 1, -std::numeric_limits<double>::infinity());
  if (2 * radius < unknown) return shares;
  const Joint joint(known, unknown, radius);
  double share = joint.share_of_opposite();
  shares[known] = joint.log_state() + std::log(share);
  for (std::size_t mismatches = known; mismatches-- > 0;) {
    share += joint.lost_by(static_cast<long>(mismatches));
    shares[mismatches] = joint.log_state() + std::log(share);
  }
  return shares;
}

}  // namespace engram::sdm
