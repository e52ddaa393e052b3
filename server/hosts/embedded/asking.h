// SPDX-License-Identifier: Apache-2.0
// How an EmbeddedStore asks: a typed request, begun in a turn of the store, and its answer copied
// to who waits for it.
#pragma once

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/result.h"
#include "server/engine/within_memory.h"
#include "server/hosts/embedded/store_thread.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram::embedded {

inline constexpr auto kRead = CommandKind::kRead;
inline constexpr auto kWrite = CommandKind::kWrite;

/// What `ask(Store&)` returns, a Result or a Status, asked on the store's thread.
template <class Ask>
std::invoke_result_t<Ask, Store&> answer_at_once(StoreThread& thread, CommandKind kind, Ask ask) {
  std::invoke_result_t<Ask, Store&> answer;
  ENGRAM_TRY(thread.call(kind, [&](Store& store, Deferred reply) {
    const Status asked = within_memory([&]() -> Status {
      answer = ask(store);
      return {};
    });
    if (!asked) answer = tl::unexpected(asked.error());
    reply.reply_rendered({});
  }));
  return answer;
}

/// What `copy(given, answer)` makes of what the request that `begin(Store&, Responder)` starts is
/// answered with. If begin() fails nothing was started. `kind`: a CommandKind, or what
/// StoreThread::call() asks for it.
template <class Answer, class Given, class Kind, class Begin, class Copy>
Result<Answer> answer_later(StoreThread& thread, Kind kind, Begin begin, Copy copy,
                            bool writes_later = false) {
  Result<Answer> answer;
  const auto ask = [&](Store& store, Deferred reply) {
    const auto promise = std::make_shared<Deferred>(std::move(reply));
    const Responder<Given> responder = {.take =
                                            [&answer, &copy](const Result<Given>& given) {
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
    const Status begun = within_memory([&] { return begin(store, responder); });
    if (!begun) responder.refuse(begun.error());
  };
  ENGRAM_TRY(thread.call(kind, ask, writes_later));
  return answer;
}

/// The same where what is given is the answer.
template <class Answer, class Begin>
Result<Answer> answer_later(StoreThread& thread, CommandKind kind, Begin begin) {
  return answer_later<Answer, Answer>(
      thread, kind, begin, [](const Answer& given, Result<Answer>& answer) { answer = given; });
}

/// Begins what `read(Request&)` makes of a request about an index.
template <class Request, class Given, class Read>
Status begin_on(Store& store, Result<IndexRef> index, const Responder<Given>& responder,
                Read read) {
  if (!index) return tl::unexpected(std::move(index.error()));
  Request request = {};
  request.index = std::move(*index);
  ENGRAM_TRY(read(request));
  start(store, std::move(request), responder);
  return {};
}

/// To no items, or no queries: an empty answer, if there is such an index.
template <class Answer>
Result<Answer> answer_to_nothing(StoreThread& thread, std::string_view index) {
  return answer_at_once(thread, kRead, [&](Store& store) -> Result<Answer> {
    auto found = find_index(store, index);
    if (!found) return tl::unexpected(std::move(found.error()));
    return Answer{};
  });
}

}  // namespace engram::embedded
