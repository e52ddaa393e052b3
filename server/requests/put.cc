// SPDX-License-Identifier: Apache-2.0
#include "server/requests/put.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "core/row.h"
#include "core/text.h"
#include "server/requests/arguments.h"
#include "server/requests/auto_index.h"
#include "server/requests/keys.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

/// Bounds what an answer that names many keys can take.
constexpr std::size_t kMostKeyBytes = 65'536;

/// "WITHIN 0.1".
Result<float> read_within(std::string_view text) {
  constexpr std::string_view kWord = "WITHIN ";
  std::optional<float> distance;
  if (equal_ignoring_case(text.substr(0, kWord.size()), kWord)) {
    distance = parse_number<float>(text.substr(kWord.size()));
  }
  if (distance && std::isfinite(*distance)) return *distance;
  return fail(ErrorCode::kInvalidArgument,
              "UNLESS must be WITHIN and a distance, got '" + shown(text) + "'");
}

/// `index`, if it is one that goes with its last item.
std::optional<IndexRef> if_auto(const IndexRef& index) {
  return index.collection->set().is_auto ? std::optional(index) : std::nullopt;
}

/// What a put is checked for beside its vectors.
Result<StrengthGain> check_put(Store& store, const PutRequest& request) {
  const auto& attributes = request.attributes;
  if (attributes && !attributes->empty()) ENGRAM_TRY(check_attributes(*attributes));
  for (const auto& given : request.attributes_of_each) {
    if (given && !given->empty()) ENGRAM_TRY(check_attributes(*given));
  }
  return gain_of(store, request.index(), request.strength);
}

Status stage(const PutRequest& request, Collection::PutBatch& batch) {
  const std::size_t dim = request.index().spec().dim;
  std::span<const float> vectors = request.vectors();
  for (const std::string_view key : request.keys()) {
    ENGRAM_TRY(batch.add(key, vectors.first(dim)));
    vectors = vectors.subspan(dim);
  }
  return {};
}

std::size_t given_bytes(const PutRequest& request) {
  std::size_t bytes = 0;
  for (const auto& given : request.attributes_of_each) bytes += given ? given->size() : 0;
  return bytes;
}

/// What is recorded of attributes: those that are given, or that the keys keep.
std::size_t attribute_bytes(const PutRequest& request, std::span<const std::string_view> keys) {
  if (request.attributes) return keys.size() * request.attributes->size();
  const Collection& collection = *request.index().collection;
  if (!collection.attributes().are_allowed()) return given_bytes(request);
  std::size_t bytes = given_bytes(request);
  for (const std::string_view key : keys) {
    if (const auto kept = collection.attributes_of(key)) bytes += kept->size();
  }
  return bytes;
}

/// The vector, its strength and its attributes name the key.
Status check_room_for(Store& store, const PutRequest& request,
                      std::span<const std::string_view> keys) {
  return check_room(store.keyspace(), 3 * change_bytes(keys) + request.vectors().size_bytes() +
                                          attribute_bytes(request, keys));
}

}  // namespace

Status check_item_key(std::string_view key) {
  if (!key.empty() && key.size() <= kMostKeyBytes) return {};
  return fail(ErrorCode::kInvalidArgument, "a vector's key must have 1 to " +
                                               std::to_string(kMostKeyBytes) + " bytes, got " +
                                               std::to_string(key.size()));
}

void PutRequest::reserve(std::size_t count) {
  keys_.reserve(count);
  vectors_.reserve(index_, count);
}

Status PutRequest::add(std::string_view key, std::span<const float> vector) {
  ENGRAM_TRY(check_item_key(key));
  ENGRAM_TRY(vectors_.add(index_, vector));
  keys_.push_back(key);
  return {};
}

Status PutRequest::add(std::string_view key, std::string_view packed) {
  ENGRAM_TRY(check_item_key(key));
  ENGRAM_TRY(vectors_.add(index_, packed));
  keys_.push_back(key);
  return {};
}

Status read_options(std::vector<OptionText> options, PutRequest& request) {
  const auto unless = take_option(options, "UNLESS");
  if (!unless) return tl::unexpected(unless.error());
  if (*unless) {
    const auto within = read_within(**unless);
    if (!within) return tl::unexpected(within.error());
    const auto touch = take_touch(options);
    if (!touch) return tl::unexpected(touch.error());
    request.unless = {*within, *touch};
  }
  const auto attributes = take_option(options, "SETATTR");
  if (!attributes) return tl::unexpected(attributes.error());
  if (*attributes) request.attributes = **attributes;
  return read_strength(std::move(options), request.strength);
}

std::size_t expected_bytes(const PutRequest& request) {
  const std::size_t attributes = request.attributes ? request.attributes->size() : 0;
  return request.keys().size() * (row_bytes(request.index().spec().dim) + attributes) +
         given_bytes(request);
}

void start(Store& store, const PutRequest& request, Responder<std::size_t> responder) {
  if (request.keys().empty()) {
    return responder.refuse({ErrorCode::kInvalidArgument, "there is no vector to put"});
  }
  if (request.unless) {
    return responder.refuse({ErrorCode::kInvalidArgument, "UNLESS WITHIN is of one vector"});
  }
  const auto gain = check_put(store, request);
  if (!gain) return responder.refuse(gain.error());
  // What was put into it first may have made the index, and it is not to stay without.
  auto answer = [&store, made = if_auto(request.index()), is_step = store.gate().is_closed(),
                 responder = std::move(responder)](const Result<std::size_t>& added) {
    if (added || !made) {
      responder.take(added);
      return responder.finish(0);
    }
    drop_if_deserted(store, *made, is_step, [responder, error = added.error()](Lsn lsn) {
      responder.take(tl::unexpected(error));
      responder.finish(lsn);
    });
  };
  if (const Status room = check_room_for(store, request, request.keys()); !room) {
    return answer(tl::unexpected(room.error()));
  }
  Collection::PutBatch batch(request.index().collection);
  if (const Status staged = stage(request, batch); !staged) {
    return answer(tl::unexpected(staged.error()));
  }
  if (request.attributes_of_each.empty()) {
    return batch.commit(std::move(answer), *gain, request.attributes);
  }
  const std::vector<GivenAttributes> each(request.attributes_of_each.begin(),
                                          request.attributes_of_each.end());
  batch.commit_each(std::move(answer), *gain, each);
}

namespace {

/// A put that waits to be admitted.
struct AdmissionRun {
  Store& store;
  PutRequest request;  // whose keys are not valid any more
  std::string key;
  Responder<Admission> responder;
  bool is_step;  // of a transaction
  Lsn lsn = 0;
};

/// A put that does not happen may leave a set without elements.
void end_without(const AdmissionRun& run, Result<Admission> answer, Lsn touched = 0) {
  const auto made = if_auto(run.request.index());
  const auto end = [responder = run.responder, answer = std::move(answer), touched](Lsn lsn) {
    responder.take(answer);
    responder.finish(std::max(touched, lsn));
  };
  made ? drop_if_deserted(run.store, *made, run.is_step, end) : end(0);
}

void refuse_near(const AdmissionRun& run, std::string near) {
  const IndexRef& index = run.request.index();
  const auto& touch = run.request.unless->touch;
  Lsn lsn = 0;
  if (touch) {
    const std::string_view key = near;
    const Status room = check_room(run.store.keyspace(), change_bytes(key));
    if (!room) return end_without(run, tl::unexpected(room.error()));
    const StrengthRead read = {.at_ms = run.request.strength.at_ms, .touch = touch};
    index.collection->touch({&key, 1}, gain_of_read(run.store, index, read));
    lsn = run.store.seal_late();
  }
  end_without(run, Admission{.near = std::move(near)}, lsn);
}

void put_admitted(const std::shared_ptr<AdmissionRun>& run) {
  const IndexRef& index = run->request.index();
  const auto gain = gain_of(run->store, index, run->request.strength);
  if (!gain) return end_without(*run, tl::unexpected(gain.error()));
  const std::string_view key = run->key;
  if (const Status room = check_room_for(run->store, run->request, {&key, 1}); !room) {
    return end_without(*run, tl::unexpected(room.error()));
  }
  Collection::PutBatch batch(index.collection);
  if (const Status staged = batch.add(run->key, run->request.vectors()); !staged) {
    return end_without(*run, tl::unexpected(staged.error()));
  }
  batch.commit(
      [run](const Result<std::size_t>& added) {
        if (!added) return end_without(*run, tl::unexpected(added.error()), run->lsn);
        run->responder.take(Admission{.is_new = *added == 1});
        run->responder.finish(run->lsn);
      },
      *gain, run->request.attributes);
  run->lsn = run->store.seal_late();
}

void decide(const std::shared_ptr<AdmissionRun>& run, Result<std::optional<std::string>> near) {
  if (!near) return end_without(*run, tl::unexpected(near.error()));
  if (const Status sound = run->request.index().check_soundness(); !sound) {
    return end_without(*run, tl::unexpected(sound.error()));
  }
  *near ? refuse_near(*run, std::move(**near)) : put_admitted(run);
}

Status check_admission(Store& store, const PutRequest& request) {
  if (request.keys().size() != 1 || !request.unless) {
    return fail(ErrorCode::kInvalidArgument, "UNLESS WITHIN is of one vector");
  }
  const auto gain = check_put(store, request);
  if (!gain) return tl::unexpected(gain.error());
  return check_strength_read(store, request.index(),
                             {.at_ms = request.strength.at_ms, .touch = request.unless->touch});
}

}  // namespace

void start(Store& store, const PutRequest& request, Responder<Admission> responder) {
  if (const Status checked = check_admission(store, request); !checked) {
    return responder.refuse(checked.error());
  }
  const auto run = std::make_shared<AdmissionRun>(
      AdmissionRun{store, request, std::string(request.keys().front()), std::move(responder),
                   store.gate().is_closed()});
  const auto vector = run->request.vectors();
  request.index().collection->ask_admission(
      {.vector = {vector.begin(), vector.end()},
       .within = request.unless->within,
       .when_recordable =
           [run](std::function<void()> go) { run->store.record_late(run->is_step, std::move(go)); },
       .decide = [run](Result<std::optional<std::string>> near) { decide(run, std::move(near)); }});
}

void start(Store& store, const EraseRequest& request, Responder<bool> responder) {
  request.index.collection->erase(
      request.key, [&store, made = if_auto(request.index), is_step = store.gate().is_closed(),
                    responder = std::move(responder)](bool erased) {
        const auto answer = [responder, erased](Lsn lsn) {
          responder.take(erased);
          responder.finish(lsn);
        };
        made ? drop_if_deserted(store, *made, is_step, answer) : answer(0);
      });
}

Result<std::optional<std::vector<float>>> get_vector(Store& store, std::string_view index,
                                                     std::string_view key) {
  const auto found = find_index(store, index, Missing::kGone);
  if (!found) return tl::unexpected(found.error());
  auto vector = found->collection->get(key);
  ENGRAM_TRY(found->check_soundness());
  return vector;
}

}  // namespace engram
