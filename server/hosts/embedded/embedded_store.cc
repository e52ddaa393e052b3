// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/embedded_store.h"

#include <algorithm>
#include <memory>

#include "core/text.h"
#include "server/hosts/embedded/asking.h"
#include "server/hosts/embedded/store_thread.h"
#include "server/requests/attributes.h"
#include "server/requests/forget.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"
#include "server/requests/put.h"
#include "server/requests/snapshot.h"
#include "server/requests/vector_set_members.h"

namespace engram {

namespace {

using embedded::answer_at_once;
using embedded::answer_later;
using embedded::answer_to_nothing;
using embedded::begin_on;
using embedded::kRead;
using embedded::kWrite;
using Consolidated = EmbeddedStore::Consolidated;
using OptionList = EmbeddedStore::OptionList;
using Rows = EmbeddedStore::Rows;

Consolidated owned(const ConsolidateAnswer& given) {
  Consolidated consolidated = {.items = given.items,
                               .members = given.members,
                               .dropped = given.dropped,
                               .beta = given.beta,
                               .bounds = given.bounds,
                               .groups = {}};
  for (const ConsolidatedGroup& group : given.groups) {
    consolidated.groups.push_back({.key = std::string(group.key),
                                   .strength = group.strength,
                                   .radius = group.radius,
                                   .variance = group.variance,
                                   .members = {group.members.begin(), group.members.end()}});
  }
  return consolidated;
}

}  // namespace

EmbeddedStore::EmbeddedStore(std::unique_ptr<StoreThread> thread) : thread_(std::move(thread)) {}

EmbeddedStore::~EmbeddedStore() = default;

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(const Settings& settings) {
  auto thread = StoreThread::start(settings.store, settings.snapshots);
  if (!thread) return tl::unexpected(std::move(thread.error()));
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(*thread)));
}

Status EmbeddedStore::create_index(std::string_view index, std::size_t dim,
                                   const OptionList& options) {
  return answer_at_once(*thread_, kWrite, [&](Store& store) -> Status {
    NewIndexRequest request{.name = index, .dim = dim};
    ENGRAM_TRY(read_options(options, request));
    return engram::create_index(store, request);
  });
}

Status EmbeddedStore::create_index_of_file(std::string_view index, std::size_t dim,
                                           const FileOfRows& file, const OptionList& options) {
  return answer_at_once(*thread_, kWrite, [&](Store& store) -> Status {
    NewIndexRequest request{.name = index, .dim = dim};
    ENGRAM_TRY(read_options(options, request));
    request.rows = RowsPlace::kFile;
    request.rows_file = file;
    return engram::create_index(store, request);
  });
}

Status EmbeddedStore::drop_index(std::string_view index) {
  return answer_at_once(*thread_, kWrite,
                        [&](Store& store) { return engram::drop_index(store, index); });
}

Result<std::vector<std::string>> EmbeddedStore::list_indexes() {
  return answer_at_once(*thread_, kRead, [](Store& store) -> Result<std::vector<std::string>> {
    return engram::list_indexes(store);
  });
}

Result<std::vector<Fact>> EmbeddedStore::describe_index(std::string_view index) {
  return answer_later<std::vector<Fact>>(*thread_, kRead, [&](Store& store, const auto& responder) {
    return begin_on<InfoRequest>(store, find_index(store, index), responder,
                                 [](InfoRequest&) { return Status(); });
  });
}

Result<std::size_t> EmbeddedStore::size(std::string_view index) {
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<std::size_t> {
    const auto found = find_index(store, index);
    if (!found) return tl::unexpected(found.error());
    return found->collection->size();
  });
}

Result<bool> EmbeddedStore::contains(std::string_view index, std::string_view key) {
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<bool> {
    const auto found = find_index(store, index);
    if (!found) return tl::unexpected(found.error());
    return found->collection->contains(key);
  });
}

Result<std::vector<std::string>> EmbeddedStore::keys(std::string_view index) {
  return answer_later<std::vector<std::string>, RangeAnswer>(
      *thread_, kRead,
      [&](Store& store, const Responder<RangeAnswer>& responder) {
        return begin_on<RangeRequest>(store, find_index(store, index), responder,
                                      [](RangeRequest&) { return Status(); });
      },
      [](const RangeAnswer& given, auto& answer) {
        answer->reserve(given.items.size());
        for (const RangeItem& item : given.items) answer->emplace_back(item.key);
      });
}

Result<bool> EmbeddedStore::put(std::string_view index, std::string_view key,
                                std::span<const float> vector, const OptionList& options) {
  const Item item = {.key = key, .vector = vector};
  const auto added = put(index, std::span(&item, 1), options);
  if (!added) return tl::unexpected(added.error());
  return *added == 1;
}

Result<std::size_t> EmbeddedStore::put(std::string_view index, std::span<const Item> items,
                                       const OptionList& options) {
  if (items.empty()) return answer_to_nothing<std::size_t>(*thread_, index);
  const auto begin = [&](Store& store, const Responder<std::size_t>& responder) -> Status {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    PutRequest request(std::move(*found));
    request.reserve(items.size());
    for (const Item& item : items) ENGRAM_TRY(request.add(item.key, item.vector));
    if (std::any_of(items.begin(), items.end(),
                    [](const Item& item) { return item.attributes.has_value(); })) {
      for (const Item& item : items) request.attributes_of_each.emplace_back(item.attributes);
    }
    ENGRAM_TRY(read_options(options, request));
    start(store, request, responder);
    return {};
  };
  return answer_later<std::size_t>(*thread_, kWrite, begin);
}

Result<std::optional<std::string>> EmbeddedStore::put_unless(std::string_view index,
                                                             std::string_view key,
                                                             std::span<const float> vector,
                                                             float within,
                                                             const OptionList& options) {
  OptionList all = options;
  const std::string condition = "WITHIN " + number_text(within);
  all.emplace_back("UNLESS", condition);
  const auto begin = [&](Store& store, const Responder<Admission>& responder) -> Status {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    PutRequest request(std::move(*found));
    ENGRAM_TRY(request.add(key, vector));
    ENGRAM_TRY(read_options(all, request));
    start(store, request, responder);
    return {};
  };
  return answer_later<std::optional<std::string>, Admission>(
      *thread_, CommandKind::kConditional, begin,
      [](const Admission& given, auto& answer) { answer = given.near; });
}

Result<std::vector<std::optional<double>>> EmbeddedStore::touch(
    std::string_view index, std::span<const std::string_view> keys, const OptionList& options) {
  using Touched = std::vector<std::optional<double>>;
  return answer_at_once(*thread_, kWrite, [&](Store& store) -> Result<Touched> {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    TouchRequest request = {.index = std::move(*found), .keys = {keys.begin(), keys.end()}};
    ENGRAM_TRY(read_options(options, request));
    return engram::touch(store, request);
  });
}

Result<bool> EmbeddedStore::set_attributes(std::string_view index, std::string_view key,
                                           std::string_view attributes) {
  return answer_at_once(*thread_, kWrite, [&](Store& store) {
    return engram::set_attributes(store, {.index = index, .key = key, .attributes = attributes});
  });
}

Result<std::optional<std::string>> EmbeddedStore::attributes(std::string_view index,
                                                             std::string_view key) {
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<std::optional<std::string>> {
    const auto text = get_attributes(store, index, key);
    if (!text) return tl::unexpected(text.error());
    return *text ? std::optional(std::string(**text)) : std::nullopt;
  });
}

Result<std::optional<StrengthAnswer>> EmbeddedStore::strength(std::string_view index,
                                                              std::string_view key,
                                                              const OptionList& options) {
  using Answer = std::optional<StrengthAnswer>;
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<Answer> {
    auto found = find_index(store, index, Missing::kGone);
    if (!found) return tl::unexpected(std::move(found.error()));
    StrengthRequest request = {.index = std::move(*found), .key = key};
    ENGRAM_TRY(read_options(options, request));
    return strength_of(store, request);
  });
}

Result<std::vector<std::string>> EmbeddedStore::forget(std::string_view index, double below,
                                                       const OptionList& options, bool is_dry_run) {
  OptionList all = options;
  const std::string strength = number_text(below);
  all.emplace_back("BELOW", strength);
  const auto begin = [&](Store& store, const Responder<std::vector<WeakItem>>& responder) {
    return begin_on<ForgetRequest>(store, find_index(store, index, Missing::kGone), responder,
                                   [&](ForgetRequest& request) {
                                     request.is_dry_run = is_dry_run;
                                     return read_options(all, request);
                                   });
  };
  return answer_later<std::vector<std::string>, std::vector<WeakItem>>(
      *thread_, is_dry_run ? kRead : CommandKind::kUpdate, begin,
      [](const std::vector<WeakItem>& given, auto& answer) {
        answer.emplace();
        for (const WeakItem& item : given) answer->push_back(item.key);
      });
}

Result<bool> EmbeddedStore::erase(std::string_view index, std::string_view key) {
  return answer_later<bool>(*thread_, kWrite, [&](Store& store, const auto& responder) {
    return begin_on<EraseRequest>(store, find_index(store, index), responder,
                                  [&](EraseRequest& request) {
                                    request.key = key;
                                    return Status();
                                  });
  });
}

Result<std::optional<std::vector<float>>> EmbeddedStore::get(std::string_view index,
                                                             std::string_view key) {
  return answer_at_once(*thread_, kRead,
                        [&](Store& store) { return get_vector(store, index, key); });
}

Result<Rows> EmbeddedStore::get(std::string_view index, std::span<const std::string_view> keys) {
  return answer_at_once(*thread_, kRead, [&](Store& store) -> Result<Rows> {
    const auto found = find_index(store, index);
    if (!found) return tl::unexpected(found.error());
    Rows rows;
    rows.dim = found->spec().dim;
    rows.values.reserve(keys.size() * rows.dim);
    for (const std::string_view key : keys) {
      const auto vector = found->collection->get(key);
      rows.found.push_back(vector.has_value());
      if (vector) rows.values.insert(rows.values.end(), vector->begin(), vector->end());
      rows.values.resize(rows.found.size() * rows.dim);
    }
    ENGRAM_TRY(found->check_soundness());
    return rows;
  });
}

Result<Consolidated> EmbeddedStore::consolidate(std::string_view index, const OptionList& options,
                                                bool is_dry_run) {
  const auto begin = [&](Store& store, const Responder<ConsolidateAnswer>& responder) {
    return begin_on<ConsolidateRequest>(store, find_index(store, index), responder,
                                        [&](ConsolidateRequest& request) {
                                          request.is_dry = is_dry_run;
                                          return read_options(store, options, request);
                                        });
  };
  return answer_later<Consolidated, ConsolidateAnswer>(
      *thread_, is_dry_run ? kRead : CommandKind::kUpdate, begin,
      [](const ConsolidateAnswer& given, auto& answer) { answer = owned(given); }, !is_dry_run);
}

Status EmbeddedStore::save(const std::string& directory) {
  Status outcome;
  ENGRAM_TRY(thread_->call(CommandKind::kNeutral, [&](Store& store, Deferred reply) {
    const auto promise = std::make_shared<Deferred>(std::move(reply));
    const Responder<void> responder = {.take = [&outcome](const Status& saved) { outcome = saved; },
                                       .finish = [promise](Lsn) { promise->reply_rendered({}); }};
    const bool copies_memory = store.persistence() == nullptr && !directory.empty();
    const auto done = [responder](const Status& saved) {
      responder.take(saved);
      responder.finish(0);
    };
    const Status begun = copies_memory ? store.copy_memory(directory, done)
                                       : start_snapshot(store, responder, directory);
    if (!begun) responder.refuse(begun.error());
  }));
  return outcome;
}

Status EmbeddedStore::close() {
  return thread_->close();
}

}  // namespace engram
