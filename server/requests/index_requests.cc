// SPDX-License-Identifier: Apache-2.0
#include "server/requests/index_requests.h"

#include <utility>
#include <variant>

#include "core/registry.h"
#include "core/text.h"
#include "server/durability/change.h"
#include "server/engine/collection.h"
#include "server/engine/persistence.h"
#include "server/requests/index_ref.h"
#include "server/requests/shown.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

Result<Metric> read_metric(std::string_view name) {
  const auto metric = metric_from_name(name);
  if (metric) return *metric;
  return fail(ErrorCode::kInvalidArgument,
              "unknown metric '" + shown(name) + "', expected cosine, l2 or dot");
}

Status check_measured_share(double share) {
  if (share >= 0 && share <= 1) return {};
  return fail(ErrorCode::kInvalidArgument,
              "MEASURE must be a number in 0..1, got " + number_text(share));
}

Result<IndexSpec> spec_of(const NewIndexRequest& request, const std::string& kernel_name) {
  ENGRAM_TRY(kIndexDimension.check(request.dim));
  ENGRAM_TRY(check_measured_share(request.measured_share));
  const auto metric = read_metric(request.metric);
  if (!metric) return tl::unexpected(metric.error());
  const auto primitive = find_primitive(request.primitive);
  if (!primitive) return tl::unexpected(primitive.error());
  auto options = Options::parse((*primitive)->create_options, request.options);
  if (!options) return tl::unexpected(options.error());
  return IndexSpec{request.dim,
                   *metric,
                   *primitive,
                   std::move(*options),
                   kernel_name,
                   request.decay,
                   request.measured_share,
                   request.rows};
}

Status read_reinforcement(std::string_view name, Decay& decay) {
  const auto rule = read_reinforce(name);
  if (!rule) return tl::unexpected(rule.error());
  decay.reinforce = *rule;
  if (!decay.is_on() && *rule != Reinforce::kOff) {
    return fail(ErrorCode::kInvalidArgument,
                "REINFORCE has recalls strengthen what they recall: it needs DECAY static, exp, "
                "power or ebb");
  }
  if (decay.policy == DecayPolicy::kEbb && *rule == Reinforce::kCompete) {
    return fail(ErrorCode::kInvalidArgument,
                "REINFORCE compete weakens what loses, and under DECAY ebb a strength is an age "
                "alone");
  }
  return {};
}

/// MERGE, FLOOR, BUDGET, BUDGETBYTES and EVERY.
Status read_upkeep(std::vector<OptionText>& options, Decay& decay) {
  const auto merge = take_option(options, "MERGE");
  if (!merge) return tl::unexpected(merge.error());
  if (*merge) {
    const auto read = read_merge_radius(**merge);
    if (!read) return tl::unexpected(read.error());
    decay.upkeep.merge_radius = *read;
  }
  const auto floor = take_option(options, "FLOOR");
  if (!floor) return tl::unexpected(floor.error());
  if (*floor) {
    const auto read = read_floor(**floor);
    if (!read) return tl::unexpected(read.error());
    decay.upkeep.floor = *read;
  }
  bool says_every = false;
  for (const std::string_view name : {"BUDGET", "BUDGETBYTES", "EVERY"}) {
    const auto text = take_option(options, name);
    if (!text) return tl::unexpected(text.error());
    if (!*text) continue;
    const auto number = read_upkeep_number(name, **text);
    if (!number) return tl::unexpected(number.error());
    if (name == "EVERY") {
      decay.upkeep.every_ms = *number;
      says_every = true;
    } else {
      (name == "BUDGET" ? decay.upkeep.budget : decay.upkeep.budget_bytes) =
          static_cast<std::size_t>(*number);
    }
  }
  if (decay.upkeep.is_on() && !decay.is_on()) {
    return fail(ErrorCode::kInvalidArgument,
                "MERGE, FLOOR, BUDGET and BUDGETBYTES go by strength: they need DECAY static, exp, "
                "power or ebb");
  }
  if (says_every && !decay.upkeep.is_on()) {
    return fail(
        ErrorCode::kInvalidArgument,
        "EVERY says how often an index merges and forgets: it needs MERGE, FLOOR, BUDGET or "
        "BUDGETBYTES");
  }
  return {};
}

Status read_decay(std::vector<OptionText>& options, Decay& decay) {
  const auto policy = take_option(options, "DECAY");
  if (!policy) return tl::unexpected(policy.error());
  if (*policy) {
    const auto read = decay_from_text(**policy);
    if (!read) return tl::unexpected(read.error());
    decay = *read;
  }
  const auto omega = take_option(options, "OMEGA");
  if (!omega) return tl::unexpected(omega.error());
  if (*omega && !decay.is_on()) {
    return fail(ErrorCode::kInvalidArgument,
                "OMEGA says what strengths are worth: it needs DECAY static, exp, power or ebb");
  }
  if (*omega) {
    const auto read = read_omega(**omega);
    if (!read) return tl::unexpected(read.error());
    decay.omega = *read;
  }
  const auto clock = take_option(options, "CLOCK");
  if (!clock) return tl::unexpected(clock.error());
  if (*clock && !decay.has_time()) {
    return fail(ErrorCode::kInvalidArgument,
                "CLOCK says what gives strengths their time: it needs DECAY exp, power or ebb");
  }
  if (*clock) {
    const auto read = read_clock(**clock);
    if (!read) return tl::unexpected(read.error());
    decay.clock = *read;
  }
  const auto reinforce = take_option(options, "REINFORCE");
  if (!reinforce) return tl::unexpected(reinforce.error());
  if (*reinforce) ENGRAM_TRY(read_reinforcement(**reinforce, decay));
  return read_upkeep(options, decay);
}

Status read_measured_share(std::vector<OptionText>& options, double& share) {
  const auto text = take_option(options, kMeasureOption);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  const auto number = parse_number<double>(**text);
  if (!number) {
    return fail(ErrorCode::kInvalidArgument,
                "MEASURE must be a number in 0..1, got '" + shown(**text) + "'");
  }
  share = *number;
  return {};
}

Status read_rows_place(std::vector<OptionText>& options, RowsPlace& rows) {
  const auto text = take_option(options, kRowsOption);
  if (!text) return tl::unexpected(text.error());
  if (!*text) return {};
  const std::string place = to_lower(**text);
  if (place != "memory" && place != kRowsOnDisk) {
    return fail(ErrorCode::kInvalidArgument,
                "ROWS must be memory or disk, got '" + shown(**text) + "'");
  }
  if (place == kRowsOnDisk) rows = RowsPlace::kDisk;
  return {};
}

}  // namespace

Status read_options(std::vector<OptionText> options, NewIndexRequest& request) {
  const auto metric = take_option(options, "METRIC");
  if (!metric) return tl::unexpected(metric.error());
  const auto primitive = take_option(options, "PRIMITIVE");
  if (!primitive) return tl::unexpected(primitive.error());
  ENGRAM_TRY(read_decay(options, request.decay));
  ENGRAM_TRY(read_measured_share(options, request.measured_share));
  ENGRAM_TRY(read_rows_place(options, request.rows));
  request.metric = metric->value_or(request.metric);
  request.primitive = primitive->value_or(request.primitive);
  request.options = std::move(options);
  return {};
}

Status check_index_name(Store& store, std::string_view name) {
  const Value* const existing = store.keyspace().peek(name);
  if (existing == nullptr) return {};
  if (std::holds_alternative<std::string>(*existing)) {
    return fail(ErrorCode::kWrongType, "the key holds a string");
  }
  return fail(ErrorCode::kAlreadyExists, "index '" + shown(name) + "' already exists");
}

Result<IndexRef> make_index(Store& store, const NewIndexRequest& request) {
  auto spec = spec_of(request, store.kernel_name());
  if (!spec) return tl::unexpected(std::move(spec.error()));
  Keyspace& keyspace = store.keyspace();
  auto collection = Collection::create(std::move(*spec), {.workers = store.workers(),
                                                          .id = keyspace.take_collection_id(),
                                                          .hash_seed = random_seed(),
                                                          .sink = keyspace.change_sink(),
                                                          .all = &store.series(),
                                                          .row_files = store.row_files(),
                                                          .rows_file = request.rows_file});
  if (!collection) return tl::unexpected(std::move(collection.error()));
  return IndexRef{std::string(request.name), std::move(*collection)};
}

Status create_index(Store& store, const NewIndexRequest& request) {
  ENGRAM_TRY(check_index_name(store, request.name));
  if (request.rows == RowsPlace::kFile && store.persistence() != nullptr) {
    return fail(ErrorCode::kUnsupported,
                "rows of a file are for a store in memory: one in a directory keeps its own");
  }
  auto index = make_index(store, request);
  if (!index) return tl::unexpected(std::move(index.error()));
  store.keyspace().set(request.name, std::move(index->collection));
  return {};
}

Status drop_index(Store& store, std::string_view name) {
  const auto index = find_any_index(store, name, Missing::kGone);
  if (!index) return tl::unexpected(index.error());
  store.keyspace().erase(name);
  return {};
}

std::vector<std::string> list_indexes(Store& store) {
  std::vector<std::string> names;
  store.keyspace().for_each_collection(
      [&names](std::string_view name, const auto&) { names.emplace_back(name); });
  return names;
}

}  // namespace engram
