// SPDX-License-Identifier: Apache-2.0
// The contract of associative recall: a cue, perhaps noisy or partly hidden, becomes a state, an
// attractor, and an account of how sure the memory is. An Index that can recall has a Recaller
// (Index::recaller); tests/primitives/conformance holds it to this page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bias.h"
#include "core/options.h"
#include "core/result.h"
#include "core/scratch.h"
#include "core/slot.h"
#include "core/slot_set.h"

namespace engram {

/// A line of a self-description: VINFO and VDIAG show it under that name.
struct Fact {
  std::string name;
  std::string value;  ///< a number if it reads as one
};

/// The coordinates [begin, end).
struct CoordinateRange {
  std::size_t begin;
  std::size_t end;
};

/// What is to be remembered by.
struct Cue {
  std::span<const float> vector;  ///< [dim], passed check_vector
  /// The coordinates that are known: ascending, disjoint, none empty, not all of dim. The others of
  /// `vector` mean nothing. Null: all are known.
  const std::vector<CoordinateRange>* visible = nullptr;
};

/// What makes recalls by parts of the items one by all of them, where the energy is -1/beta ln of a
/// sum that has a term of each item, but for what the state alone adds to it.
struct RecallMean {
  /// [dim], of the items, by the weights that make the next state of this one, or that filled in
  /// what was hidden; under cosine before it is made a unit vector. Empty if no item has a weight.
  std::vector<float> vector = {};
  double log_mass = 0;    ///< ln of what those weights add up to before they are shares
  std::size_t items = 0;  ///< that were recalled among
};

/// What a recall is asked for.
struct RecallParams {
  /// The primitive's recall options, or nullptr: what is not given there is as the index was made.
  const Options* options = nullptr;
  std::size_t top = 10;  ///< how many items of the support to name
  /// The items to recall among; null: all that are held. Each is or was held, and its row is left
  /// alone meanwhile.
  const SlotSet* items = nullptr;
  /// Only with Traits::takes_bias: what is taken from the logits of items. Null: nothing.
  const Bias* bias = nullptr;
  bool wants_mean = false;  ///< fill in Recall::mean
};

/// An item's share in a state.
struct Share {
  Slot slot;
  double weight;

  friend bool operator==(const Share&, const Share&) = default;
};

/// What a state is, the first that fits: there are no items; one item has a weight of 0.99 or more;
/// a mean of several that no item is (lsr); spread over more than half of the items; over more than
/// 1.5; or else.
enum class RecallKind : std::uint8_t {
  kEmpty,
  kPattern,
  kEmergent,
  kGlobal,
  kMetastable,
  kMixed,
};
inline constexpr std::string_view kRecallKindNames[] = {"empty",  "pattern",    "emergent",
                                                        "global", "metastable", "mixed"};

/// The kind of a state that is a mean of items: the greatest weight at it, neff, and how many items
/// there are. Not kEmergent, which only the primitive knows.
constexpr RecallKind state_kind(double weight, double effective_count, std::size_t items) noexcept {
  constexpr double kPatternWeight = 0.99;
  constexpr double kMetastableCount = 1.5;
  if (weight >= kPatternWeight) return RecallKind::kPattern;
  if (effective_count > static_cast<double>(items) / 2) return RecallKind::kGlobal;
  return effective_count > kMetastableCount ? RecallKind::kMetastable : RecallKind::kMixed;
}

/// What came of a cue. Where coordinates are hidden and the state is what one step makes of the
/// others, weights "at `state`" are those that made it, by the visible coordinates, and there is
/// one energy, of those. A memory that has no energy leaves `energies` empty. Energies and weights
/// are doubles, summed in an order that depends on nothing but the items, so that a reply is the
/// same whatever runs beside it.
struct Recall {
  std::vector<float> state;              ///< [dim]; the cue itself if there are no items
  std::optional<Share> attractor;        ///< the greatest weight at `state`; none if it abstained
  float distance = 0;                    ///< from state to attractor, in the metric
  std::optional<Share> onestep;          ///< the greatest weight at the cue
  double entropy = 0;                    ///< of the weights at the cue, in nats
  RecallKind kind = RecallKind::kEmpty;  ///< of `state`
  bool outside = false;                  ///< the cue was beyond what the energy covers
  double effective_count = 0;            ///< neff = 1 / sum p^2 at `state`
  std::vector<Share> support;            ///< the greatest weights at `state`, descending
  std::vector<double> energies;          ///< E of every state, from the cue's on
  std::size_t steps = 0;                 ///< updates that were made
  bool converged = false;
  /// The cue is unlike the items: E(cue) is above that of nearly all of them, or infinite. Unknown
  /// before tuning.
  std::optional<bool> novel;
  double truncated = 0;            ///< bound of the weight that was left out
  bool exact = true;               ///< the bound is certain: candidates are the true nearest
  double beta = 0;                 ///< the inverse temperature that was used; 0 where there is none
  std::optional<RecallMean> mean;  ///< if it was asked for, and the energy is of that form
};

/// Finite numbers that were found by looking at the items, by name. They are kept beside the items,
/// so that a restart, which must not look again, has the same ones.
using Tuning = std::vector<std::pair<std::string, double>>;

/// A walk over a sample of the items, in steps that each cost about as much as a recall. The index
/// outlives it; items may come and go between steps.
class Survey {
 public:
  virtual ~Survey() = default;

  /// Does the next step. False: it was the last one, or there is nothing more to do.
  virtual bool step(Scratch& scratch) = 0;

  /// After the last step: what adopt() takes. Errors: kInvalidArgument where the items give no
  /// numbers, too few of them for instance.
  virtual Result<Tuning> tuning() const = 0;

  /// After the last step: what was seen, for people.
  virtual std::vector<Fact> diagnosis() const = 0;
};

/// What a survey is asked for.
struct SurveyParams {
  std::size_t sample = 256;  ///< items to look at; all, if there are fewer
  std::uint64_t seed = 42;   ///< draws them
  /// As RecallParams::items; outlives the survey. An item that is erased meanwhile keeps its row,
  /// but the index may let go of it.
  const SlotSet* items = nullptr;
  const Options* options = nullptr;  ///< as RecallParams::options; outlives the survey
  const Bias* bias = nullptr;        ///< as RecallParams::bias; outlives the survey
  bool tunes = true;                 ///< find beta; false: take it as it is, to diagnose
};

/// How an index recalls. Every member may run beside every other, and beside what
/// Traits::concurrent allows.
class Recaller {
 public:
  virtual ~Recaller() = default;

  /// Fills `recall`. Errors: kInvalidArgument where cue, options and metric do not go together, in
  /// a sentence.
  virtual Status recall(const Cue& cue, const RecallParams& params, Scratch& scratch,
                        Recall& recall) const = 0;

  /// The energy of `state` ([dim], passed check_vector): the lower, the better it fits what is
  /// held; +infinity where the energy is nowhere defined. Errors: as recall(); kUnsupported if the
  /// memory has no energy.
  virtual Result<double> energy(std::span<const float> state, const RecallParams& params,
                                Scratch& scratch) const = 0;

  /// Begins a survey.
  virtual Result<std::unique_ptr<Survey>> survey(const SurveyParams& params) const = 0;

  /// Takes the numbers of a survey of such an index, perhaps years ago and on another machine. A
  /// name that it does not know is passed over.
  virtual void adopt(const Tuning& tuning) = 0;

  /// The inverse temperature of a recall that asks for none: what a search divides handicaps by. By
  /// default 0, there is none.
  [[nodiscard]] virtual double beta() const;

  /// What VINFO shows beside Index::describe(): beta, where it came from, whether it is stale.
  virtual std::vector<Fact> describe() const = 0;
};

}  // namespace engram
