// SPDX-License-Identifier: Apache-2.0
#include "server/engine/tuner.h"

#include <cmath>
#include <utility>
#include <variant>

#include "server/durability/change.h"

namespace engram {
namespace {

Status check(const Tuning& tuning) {
  for (const auto& [name, value] : tuning) {
    if (std::isfinite(value)) continue;
    return fail(
        ErrorCode::kInvalidArgument,
        "the number '" + name + "' of a tuning must be finite, got " + std::to_string(value));
  }
  return {};
}

}  // namespace

TuneIndex Tuner::change() const {
  return {changes_.id(), {tuning_.begin(), tuning_.end()}};
}

/// Numbers of a primitive that could recall once are kept, should it be able to again.
void Tuner::adopt(const Tuning& tuning) const {
  if (Recaller* const recaller = index_.recaller()) recaller->adopt(tuning);
}

Status Tuner::tune(Tuning tuning, std::function<void()> done) {
  ENGRAM_TRY(check(tuning));
  tuning_ = std::move(tuning);
  curve_ = RecallCurve::from(tuning_);
  changes_.record(change());
  // In order, as if written to a key that no vector has.
  static constexpr std::string_view kNoKey;
  key_order_.begin(kNoKey, [this, owner = operations_.owner(), numbers = tuning_,
                            done = std::move(done), change = changes_.begin()] {
    operations_.read(
        Lane::kBulk, [this, numbers](Scratch&) { adopt(numbers); },
        [this, done, change] {
          change.end();
          done();
          key_order_.finish(kNoKey);
        });
  });
  return {};
}

void Tuner::set_curve(const RecallCurve& curve) {
  std::erase_if(tuning_, [](const auto& number) { return RecallCurve::is_number(number.first); });
  const Tuning numbers = curve.numbers();
  tuning_.insert(tuning_.end(), numbers.begin(), numbers.end());
  curve_ = curve;
}

std::string Tuner::encoded() const {
  std::string bytes;
  if (tuning_.empty()) return bytes;
  TuneIndex saved = change();
  saved.id = 0;  // the collection whose section it is, so that equal ones are equal bytes
  encode(saved, bytes);
  return bytes;
}

Status Tuner::load(std::string_view bytes) {
  const auto change = decode(bytes);
  if (!change) return tl::unexpected(change.error());
  const auto* const tuning = std::get_if<TuneIndex>(&*change);
  if (tuning == nullptr || !bytes.empty()) {
    return fail(ErrorCode::kDataLoss, "the section of tuning is not one");
  }
  tuning_.assign(tuning->numbers.begin(), tuning->numbers.end());
  if (const Status sound = check(tuning_); !sound) {
    return fail(ErrorCode::kDataLoss, sound.error().message);
  }
  curve_ = RecallCurve::from(tuning_);
  adopt(tuning_);
  return {};
}

}  // namespace engram
