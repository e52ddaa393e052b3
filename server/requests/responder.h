// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "core/result.h"
#include "server/durability/store_files.h"

namespace engram {

/// Who takes the answer to a request: take() and then, once, finish(). take() is called once unless
/// the request says otherwise. A request that is abandoned at shutdown calls neither.
template <class Answer>
struct Responder {
  /// The answer, or why there is none; on the thread that has it, often a worker. What the answer
  /// borrows (keys, vectors) is valid during the call only: render it or copy it here.
  std::function<void(const Result<Answer>&)> take;
  /// On the loop. The answer must not leave before the journal may acknowledge `lsn`. 0: it waits
  /// only for what was recorded before start() returned.
  std::function<void(Lsn lsn)> finish;

  /// Answers with an error, which takes the place of an answer that was given; on the loop.
  void refuse(const Error& error) const {
    take(tl::unexpected(error));
    finish(0);
  }
};

}  // namespace engram
