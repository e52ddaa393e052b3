// SPDX-License-Identifier: Apache-2.0
#include "primitives/hopfield/hopfield_descent.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/abandonment.h"
#include "primitives/shared/rows/rows.h"
#include "primitives/shared/weights/support.h"

namespace engram::hopfield {

Status HopfieldDescent::run(const Cue& cue, std::size_t top, Recall& recall) {
  if (cue.visible != nullptr) {
    ENGRAM_TRY(complete(cue, recall));
  } else {
    ENGRAM_TRY(descend(cue, recall));
  }
  describe_state(top, recall);
  return {};
}

/// From the visible coordinates alone. A scan: a graph knows no distances of that kind.
Status HopfieldDescent::complete(const Cue& cue, Recall& recall) {
  auto& slots = buffers_.candidates;
  Weighing& weighing = buffers_.weighing;
  see_all();
  has_weights_ = energy_.weigh_visible(state(), *cue.visible, slots, buffers_.energy, weighing);
  if (!has_weights_) return {};
  describe_cue(support(), recall);
  energy_.complete(*cue.visible, slots, weighing.weights, buffers_.energy, buffers_.sum, state());
  if (settings_.mode == Mode::kClamp) return descend(cue, recall);
  recall.energies = {weighing.energy};
  recall.steps = 1;
  recall.converged = true;
  return {};
}

/// Makes all items candidates.
void HopfieldDescent::see_all() {
  items_.among->list(buffers_.candidates);
  sees_all_ = true;
}

/// The update until nothing moves, with the visible coordinates held fast if there are such.
Status HopfieldDescent::descend(const Cue& cue, Recall& recall) {
  if (items_.graph == nullptr || cue.visible != nullptr) {
    see_all();
  } else {
    buffers_.candidates.clear();
    sees_all_ = false;
  }
  ENGRAM_TRY(look_around());
  if (has_weights_ && cue.visible == nullptr) recall::describe_cue(support(), recall);
  recall.truncated = truncated_;
  while (has_weights_) {
    recall.energies.push_back(buffers_.weighing.energy);
    if (Abandonable::is_abandoned(scratch_)) break;
    if (recall.converged || recall.steps == settings_.steps) {
      if (sees_all_ || settings_.steps == 0) break;
      ENGRAM_TRY(look_around());
      recall.energies.back() = buffers_.weighing.energy;
      recall.truncated = std::max(recall.truncated, truncated_);
      if (!found_new_ || recall.steps == settings_.steps) break;
      recall.energies.pop_back();
    }
    recall.converged = !step(cue);
    ++recall.steps;
    if (is_sparse()) {
      ENGRAM_TRY(look_around());
    } else {
      has_weights_ = weigh();
    }
  }
  return {};
}

/// Whether items far enough behind have no weight at all. Then a few candidates give all that a
/// scan gives, if they are looked for at every step.
bool HopfieldDescent::is_sparse() const {
  return std::isfinite(energy_.separation().margin());
}

bool HopfieldDescent::weigh() {
  return energy_.weigh(state(), buffers_.candidates, buffers_.energy, buffers_.weighing);
}

/// How many near items to ask for at first.
std::size_t HopfieldDescent::first_count() const {
  const std::size_t most = energy_.separation().most_weights();
  constexpr std::size_t kAnyNumber = std::numeric_limits<std::size_t>::max();
  return std::max(settings_.candidate_count, most == kAnyNumber ? 0 : most);
}

/// Weighs the items, after those nearest to the state have joined them: so many that the others
/// have next to no weight, or none if the separation is sparse.
Status HopfieldDescent::look_around() {
  found_new_ = false;
  count_ = std::max(count_, first_count());
  for (;; count_ *= 2) {
    if (!sees_all_) ENGRAM_TRY(add_nearest(count_));
    has_weights_ = weigh();
    truncated_ = truncation();
    if (!has_weights_ || truncated_ <= (is_sparse() ? 0 : settings_.truncation)) return {};
  }
}

/// Lets the `count` items nearest to the state join the candidates, or all if those are not many
/// more.
Status HopfieldDescent::add_nearest(std::size_t count) {
  auto& slots = buffers_.candidates;
  auto& hits = buffers_.hits;
  hits.clear();
  if (recall::is_worth_a_walk(count, first_count(), items_.count)) {
    const Query query{buffers_.state.reserve(bytes())};
    const std::size_t ef = settings_.ef == 0 ? count + count / 4 : settings_.ef;
    ENGRAM_TRY(items_.graph->search(query, {.k = count, .ef = ef, .bias = energy_.score_bias()},
                                    scratch_, hits));
    std::erase_if(hits, [this](const Hit& hit) { return !items_.among->contains(hit.slot); });
  }
  if (hits.empty()) {
    found_new_ = true;
    see_all();
    return {};
  }
  const std::size_t before = slots.size();
  for (const Hit& hit : hits) slots.push_back(hit.slot);
  std::sort(slots.begin(), slots.end());
  slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
  found_new_ |= slots.size() > before;
  return {};
}

/// A bound of the weight of what is not looked at, if those of the greatest logits at the state
/// are: each of the others has at most the logit of the last that was found.
double HopfieldDescent::truncation() const {
  if (sees_all_ || !has_weights_) return 0;
  const auto& slots = buffers_.candidates;
  const Weighing& weighing = buffers_.weighing;
  const auto farthest = std::lower_bound(slots.begin(), slots.end(), buffers_.hits.back().slot);
  const auto i = static_cast<std::size_t>(farthest - slots.begin());
  const double others =
      std::max(0.0, static_cast<double>(items_.count) - static_cast<double>(slots.size()));
  return energy_.separation().weight_left_out(others, buffers_.energy.logits[i],
                                              weighing.weights[i], weighing.conjugate);
}

/// Moves the state to where the weights say. False if it came no farther than the tolerance.
bool HopfieldDescent::step(const Cue& cue) {
  const std::size_t dim = context_.store.dim();
  energy_.update(buffers_.candidates, buffers_.weighing.weights, buffers_.energy, buffers_.sum,
                 next());
  if (cue.visible != nullptr) {
    for (const auto& [begin, end] : *cue.visible) {
      std::copy_n(state() + begin, end - begin, next() + begin);
    }
  }
  double moved = 0;
  double norm = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const double difference = double{next()[i]} - state()[i];
    moved += difference * difference;
    norm += double{state()[i]} * state()[i];
  }
  std::swap(buffers_.state, buffers_.next);
  return std::sqrt(moved) > settings_.tolerance * std::max(1.0, std::sqrt(norm));
}

void HopfieldDescent::describe_mean(const Cue& cue, Recall& recall) {
  recall.mean = RecallMean{.items = items_.count};
  if (!has_weights_) return;
  const bool is_completed = cue.visible != nullptr && settings_.mode == Mode::kPosterior;
  if (!is_completed) {  // or else the sum is that of complete()
    energy_.update(buffers_.candidates, buffers_.weighing.weights, buffers_.energy, buffers_.sum,
                   next());
  }
  const auto end = buffers_.sum.begin() + static_cast<std::ptrdiff_t>(context_.store.dim());
  recall.mean->vector.assign(buffers_.sum.begin(), end);
  recall.mean->log_mass = buffers_.weighing.conjugate;
}

void HopfieldDescent::describe_state(std::size_t top, Recall& recall) {
  const std::size_t dim = context_.store.dim();
  recall.state.assign(state(), state() + dim);
  recall.exact = items_.graph == nullptr || sees_all_;
  if (!has_weights_) return;
  recall::describe_state(support(), items_.count, top, recall);
  recall.distance = recall::distance_to(context_, recall.state, recall.attractor->slot);
}

}  // namespace engram::hopfield
