// SPDX-License-Identifier: Apache-2.0
#include "server/requests/cursor.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/durability/change.h"
#include "server/engine/key_hash.h"

namespace engram {
namespace {

/// A page on its way.
struct PageRun {
  Store& store;
  SearchCursors::Handle cursor;
  std::size_t size;
  CursorLimits limits;
  Responder<SearchPage> responder;
  bool is_first;
  bool is_last = false;
  bool has_failed = false;
};

Status check_page(const PagedSearchRequest& request) {
  if (query_count(request.search) != 1) {
    return fail(ErrorCode::kInvalidArgument, "CURSOR pages the answers to one query");
  }
  if (request.search.filter_ef != 0) {
    return fail(ErrorCode::kInvalidArgument,
                "CURSOR ends when nothing more matches, so it takes no FILTER-EF, which may end "
                "a search before");
  }
  if (request.search.explains) {
    return fail(ErrorCode::kInvalidArgument, "EXPLAIN is of a search as a whole, not of a page");
  }
  if (!request.search.strength.touch) return kNeighborCount.check(request.search.k);
  return fail(ErrorCode::kInvalidArgument,
              "CURSOR asks again for what it has answered, so it cannot TOUCH");
}

/// On a worker. What is nearest and was not answered.
void answer_page(PageRun& run, const std::vector<Neighbor>& found) {
  std::vector<Neighbor> page;
  run.is_last = true;
  for (const Neighbor& neighbor : found) {
    if (run.cursor->has_answered(neighbor.key)) continue;
    if (page.size() == run.size) {
      run.is_last = false;
      break;
    }
    page.push_back(neighbor);
  }
  run.responder.take(SearchPage{run.is_last ? 0 : run.cursor->id(), page});
  if (run.is_last) return;
  for (const Neighbor& neighbor : page) run.cursor->add_answered(neighbor.key);
}

void end_page(PageRun& run, Lsn lsn) {
  SearchCursors& cursors = run.store.cursors();
  if (run.is_last || (run.has_failed && run.is_first)) {
    cursors.close(run.cursor->id());
  } else {
    cursors.rest(*run.cursor, run.limits, run.store.keyspace().now_ms());
  }
  run.responder.finish(lsn);
}

}  // namespace

void start(Store& store, PagedSearchRequest request, Responder<SearchPage> responder) {
  if (const Status checked = check_page(request); !checked) {
    return responder.refuse(checked.error());
  }
  SearchRequest& search = request.search;
  const std::uint64_t index = search.index.collection->id();
  const std::uint64_t query = KeyHash()(packed(search.queries.values()));
  const std::int64_t now_ms = store.keyspace().now_ms();
  SearchCursors& cursors = store.cursors();
  auto cursor = request.cursor == 0
                    ? cursors.open(index, query, request.limits, now_ms)
                    : cursors.resume(request.cursor, index, query, request.limits, now_ms);
  if (!cursor) return responder.refuse(cursor.error());
  const auto run =
      std::make_shared<PageRun>(PageRun{store, std::move(*cursor), search.k, request.limits,
                                        std::move(responder), request.cursor == 0});
  // One more, to know whether there is a page after it.
  search.k = std::min<std::size_t>(kMaxSlots, search.k + run->cursor->answered() + 1);
  start(store, std::move(search),
        Responder<SearchAnswer>{.take =
                                    [run](const Result<SearchAnswer>& answer) {
                                      run->has_failed = !answer;
                                      if (answer) return answer_page(*run, answer->neighbors[0]);
                                      run->responder.take(tl::unexpected(answer.error()));
                                    },
                                .finish = [run](Lsn lsn) { end_page(*run, lsn); }});
}

}  // namespace engram
