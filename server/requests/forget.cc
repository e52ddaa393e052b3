// SPDX-License-Identifier: Apache-2.0
#include "server/requests/forget.h"

#include <memory>
#include <string>
#include <utility>

#include "core/text.h"
#include "server/engine/forgetting.h"
#include "server/requests/answer_size.h"
#include "server/requests/arguments.h"
#include "server/requests/keys.h"
#include "server/requests/shown.h"
#include "server/requests/strength.h"

namespace engram {
namespace {

constexpr CountArgument kLimit = {"LIMIT", 1, kMaxSlots};
constexpr std::size_t kKeyFraming = 16;  // bytes, beside a key of the answer

using Weak = std::vector<WeakItem>;

Status check_below(double below) {
  if (below > 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              "BELOW must be a number above 0, got " + number_text(below));
}

Status check_answer(const Weak& items) {
  ENGRAM_TRY(check_result_count(items.size()));
  std::size_t bytes = 0;
  for (const WeakItem& item : items) bytes += item.key.size() + kKeyFraming;
  return check_answer_bytes(bytes, kLimit.name);
}

struct ForgetRun {
  Store& store;
  ForgetRequest request;
  Responder<Weak> responder;
  std::int64_t at_ms;
  bool is_step;  // of a transaction
};

void answer(const ForgetRun& run, const Weak& items, Lsn lsn) {
  run.responder.take(items);
  run.responder.finish(lsn);
}

/// Of a transaction, which may forget again and again: alone it has room for any answer.
Status check_room_for(const ForgetRun& run, const Weak& items) {
  std::size_t bytes = 0;
  for (const WeakItem& item : items) bytes += change_bytes(item.key);
  return check_room(run.store.keyspace(), bytes);
}

void act_on(const std::shared_ptr<ForgetRun>& run, Result<Weak> found) {
  if (!found) return run->responder.refuse(found.error());
  if (const Status checked = check_answer(*found); !checked) {
    return run->responder.refuse(checked.error());
  }
  if (const Status sound = run->request.index.check_soundness(); !sound) {
    return run->responder.refuse(sound.error());
  }
  if (run->request.is_dry_run) return answer(*run, *found, 0);
  if (const Status room = check_room_for(*run, *found); !room) {
    return run->responder.refuse(room.error());
  }
  erase_weak_items(run->store, run->request.index.collection, std::move(*found), run->at_ms,
                   run->is_step, [run](const Weak& erased, Lsn lsn) { answer(*run, erased, lsn); });
}

}  // namespace

Status read_options(std::vector<OptionText> options, ForgetRequest& request) {
  const auto below = take_option(options, "BELOW");
  if (!below) return tl::unexpected(below.error());
  if (!*below) {
    return fail(ErrorCode::kInvalidArgument,
                "BELOW is missing: the strength from which on items are kept");
  }
  const auto number = parse_number<double>(**below);
  if (!number) {
    return fail(ErrorCode::kInvalidArgument,
                "BELOW must be a number above 0, got '" + shown(**below) + "'");
  }
  request.below = *number;
  ENGRAM_TRY(take_read_time(options, request.at_ms));
  const auto limit = take_count(options, kLimit, request.limit);
  if (!limit) return tl::unexpected(limit.error());
  request.limit = *limit;
  if (options.empty()) return {};
  return fail(ErrorCode::kInvalidArgument, "unknown option '" + shown(options.front().first) +
                                               "', known options are BELOW, AT, LIMIT, DRYRUN");
}

void start(Store& store, ForgetRequest request, Responder<std::vector<WeakItem>> responder) {
  const auto check = [&]() -> Status {
    ENGRAM_TRY(check_strength_read(store, request.index,
                                   {.at_ms = request.at_ms, .fields = {.strength = true}}));
    ENGRAM_TRY(check_below(request.below));
    return kLimit.check(request.limit);
  };
  if (const Status checked = check(); !checked) return responder.refuse(checked.error());
  Collection& collection = *request.index.collection;
  const std::int64_t at_ms = time_of_read(store, collection, request.at_ms);
  const auto run = std::make_shared<ForgetRun>(
      ForgetRun{store, std::move(request), std::move(responder), at_ms, store.gate().is_closed()});
  collection.find_weak_items(
      {.below = run->request.below, .at_ms = at_ms, .limit = run->request.limit},
      [run](Result<Weak> found) { act_on(run, std::move(found)); });
}

}  // namespace engram
