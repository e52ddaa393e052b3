// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/embedded/embedded_store.h"

#include <algorithm>

#include "server/hosts/embedded/store_thread.h"
#include "server/requests/index_info.h"
#include "server/requests/index_requests.h"
#include "server/requests/put.h"
#include "server/requests/recall.h"
#include "server/requests/search.h"
#include "server/requests/snapshot.h"
#include "server/requests/survey.h"

namespace engram {
namespace {

/// The answer of a request that is done when it returns.
template <class Answer, class Ask>
Result<Answer> ask_at_once(StoreThread& thread, CommandKind kind, Ask ask) {
  Result<Answer> answer;
  ENGRAM_TRY(thread.call(kind, [&](Store& store, Deferred reply) {
    answer = ask(store);
    reply.reply_rendered({});
  }));
  return answer;
}

/// The answer of a request that a Responder gets. `ask` begins it, or fails; `copy` makes the
/// answer one's own, where it is given.
template <class Answer, class Borrowed, class Ask, class Copy>
Result<Answer> ask_later(StoreThread& thread, CommandKind kind, Ask ask, Copy copy) {
  Result<Answer> answer;
  ENGRAM_TRY(thread.call(kind, [&](Store& store, Deferred reply) {
    const auto promise = std::make_shared<Deferred>(std::move(reply));
    const Responder<Borrowed> responder = {
        .take =
            [&answer, &copy](const Result<Borrowed>& given) {
              if (!given) {
                answer = tl::unexpected(given.error());
              } else {
                copy(*given, answer);
              }
            },
        .finish =
            [promise](Lsn lsn) {
              if (lsn != 0) promise->hold(lsn);
              promise->reply_rendered({});
            }};
    if (const Status begun = ask(store, responder); !begun) responder.refuse(begun.error());
  }));
  return answer;
}

/// Of an answer that borrows nothing.
constexpr auto kWhole = [](const auto& given, auto& answer) { answer = given; };

/// Reads a request of `index` and begins it.
template <class Request, class Answer, class Read>
Status begin(Store& store, Result<IndexRef> index, const Responder<Answer>& responder, Read read) {
  if (!index) return tl::unexpected(std::move(index.error()));
  Request request{std::move(*index)};
  ENGRAM_TRY(read(request));
  engram::start(store, std::move(request), responder);
  return {};
}

std::optional<std::string> owned(const std::optional<std::string_view>& key) {
  return key ? std::optional<std::string>(*key) : std::nullopt;
}

}  // namespace

EmbeddedStore::EmbeddedStore(std::unique_ptr<StoreThread> thread) : thread_(std::move(thread)) {}

EmbeddedStore::~EmbeddedStore() = default;

Result<std::unique_ptr<EmbeddedStore>> EmbeddedStore::open(const Settings& settings) {
  auto thread = StoreThread::start(settings.store, settings.snapshots);
  if (!thread) return tl::unexpected(std::move(thread.error()));
  return std::unique_ptr<EmbeddedStore>(new EmbeddedStore(std::move(*thread)));
}

Status EmbeddedStore::close() {
  return thread_->close();
}
