// SPDX-License-Identifier: Apache-2.0
#include "server/engine/restored_collections.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/text.h"
#include "server/engine/keyspace.h"
#include "server/engine/quarantine.h"
#include "server/runtime/log.h"
#include "server/runtime/process.h"

namespace engram {

namespace {

/// Takes what the collection has of that name out of its options.
std::optional<std::string_view> take(std::vector<OptionText>& options, std::string_view name) {
  const auto found = std::find_if(options.begin(), options.end(), [name](const OptionText& option) {
    return option.first == name;
  });
  if (found == options.end()) return std::nullopt;
  const std::string_view text = found->second;
  options.erase(found);
  return text;
}

Result<Decay> take_decay(std::vector<OptionText>& options) {
  const auto text = take(options, kDecayOption);
  return text ? decay_from_text(*text) : Decay{};
}

Result<VectorSet> take_set(std::vector<OptionText>& options, std::size_t dim) {
  VectorSet set = {.is_auto = take(options, kAutoOption).has_value()};
  if (const auto text = take(options, kProjectionOption)) {
    auto projection = Projection::parse(*text, dim);
    if (!projection) return tl::unexpected(std::move(projection.error()));
    set.projection = std::move(*projection);
  }
  return set;
}

/// 0 if there is none.
Result<double> take_measured_share(std::vector<OptionText>& options) {
  const auto text = take(options, kMeasureOption);
  if (!text) return 0.0;
  const auto share = parse_number<double>(*text);
  if (share && *share > 0 && *share <= 1) return *share;
  return fail(ErrorCode::kUnsupported, "unknown share of searches to measure");
}

Result<RowsPlace> take_rows_place(std::vector<OptionText>& options) {
  const auto text = take(options, kRowsOption);
  if (!text) return RowsPlace::kMemory;
  if (*text == kRowsOnDisk) return RowsPlace::kDisk;
  return fail(ErrorCode::kUnsupported, "unknown place of rows");
}

}  // namespace

Result<std::shared_ptr<Collection>> create_recorded(const NewCollection& change,
                                                    const RecoveryContext& context) {
  const auto metric = metric_from_name(change.metric);
  if (!metric) {
    return fail(ErrorCode::kUnsupported, "unknown metric '" + std::string(change.metric) + "'");
  }
  const auto primitive = find_primitive(change.primitive);
  if (!primitive) return tl::unexpected(primitive.error());
  auto given = change.options;
  const auto decay = take_decay(given);
  if (!decay) return tl::unexpected(decay.error());
  const auto measured_share = take_measured_share(given);
  if (!measured_share) return tl::unexpected(measured_share.error());
  const auto rows = take_rows_place(given);
  if (!rows) return tl::unexpected(rows.error());
  auto set = take_set(given, change.dim);
  if (!set) return tl::unexpected(std::move(set.error()));
  auto options = Options::parse((*primitive)->create_options, given);
  if (!options) return tl::unexpected(std::move(options.error()));
  return Collection::create({.dim = change.dim,
                             .metric = *metric,
                             .primitive = *primitive,
                             .options = std::move(*options),
                             .kernel_name = context.kernel_name,
                             .decay = *decay,
                             .measured_share = *measured_share,
                             .rows = *rows},
                            {.workers = context.workers,
                             .id = change.id,
                             .hash_seed = random_seed(),
                             .set = std::move(*set),
                             .row_files = context.row_files});
}

Result<std::shared_ptr<Collection>> RestoredCollections::restore(const NewCollection& change,
                                                                 const Load& load) {
  auto collection = create_recorded(change, context_);
  Status restored;
  if (!collection) {
    restored = tl::unexpected(std::move(collection.error()));
  } else if (load) {
    restored = load(**collection);
  }
  if (restored) {
    sound_[change.id] = *collection;
    add(change, *collection);
    return collection;
  }
  if (restored.error().code == ErrorCode::kResourceExhausted) {
    return fail(ErrorCode::kResourceExhausted,
                index_label(change.key) + ": " + restored.error().message);
  }
  const bool is_damaged = collection && restored.error().code == ErrorCode::kDataLoss;
  if (is_damaged && damage_.empty()) {
    damage_ = index_label(change.key) + ": " + restored.error().message;
  }
  ENGRAM_TRY(quarantine(change, load ? " of the snapshot" : "", restored.error()));
  return std::shared_ptr<Collection>();
}

Status RestoredCollections::quarantine(const NewCollection& change, const char* place,
                                       const Error& reason) {
  auto stand_in =
      make_quarantined({.workers = context_.workers, .id = change.id, .hash_seed = random_seed()},
                       index_label(change.key) + place + " cannot be restored: " + reason.message);
  if (!stand_in) return tl::unexpected(std::move(stand_in.error()));
  log_error((*stand_in)->find_damage(change.key) + "; the rest is served, VDROP removes it");
  quarantined_[change.id].stand_in = *stand_in;
  add(change, *stand_in);
  return {};
}

void RestoredCollections::add(const NewCollection& change,
                              const std::shared_ptr<Collection>& collection) {
  context_.keyspace.reserve_collection_id(change.id);
  context_.keyspace.set(change.key, collection);
  if (change.expires_ms != kNeverExpires) {
    context_.keyspace.expire_at(change.key, change.expires_ms);
  }
}

std::shared_ptr<Collection> RestoredCollections::find(std::uint64_t id) {
  if (const auto sound = sound_.find(id); sound != sound_.end()) return sound->second.lock();
  if (const auto found = quarantined_.find(id); found != quarantined_.end()) {
    ++found->second.skipped;
  }
  return nullptr;
}

void RestoredCollections::drop_deserted() {
  const auto& all = context_.keyspace.collection_names();
  for (const std::string& name : std::vector<std::string>(all.begin(), all.end())) {
    const Value& value = *context_.keyspace.peek(name);  // nothing expires while this goes on
    const Collection& collection = *std::get<std::shared_ptr<Collection>>(value);
    if (collection.set().is_auto && collection.is_deserted()) context_.keyspace.erase(name);
  }
}

void RestoredCollections::report_skipped() {
  for (const auto& [id, quarantined] : quarantined_) {
    const auto stand_in = quarantined.stand_in.lock();
    if (stand_in == nullptr || quarantined.skipped == 0) continue;
    const std::string damage = stand_in->find_damage({}) + "; " +
                               std::to_string(quarantined.skipped) +
                               " later changes in the journal were skipped";
    log_warning(damage);
    stand_in->set_damage(damage);
  }
}

}  // namespace engram
