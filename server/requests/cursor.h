// SPDX-License-Identifier: Apache-2.0
// Searches that are answered in pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "server/engine/search_cursors.h"
#include "server/requests/responder.h"
#include "server/requests/search.h"

namespace engram {

struct PagedSearchRequest {
  SearchRequest search;      ///< of one query; k: keys of this page; without StrengthRead::touch
  std::uint64_t cursor = 0;  ///< of the page before; 0: begins
  CursorLimits limits = {};
};

struct SearchPage {
  std::uint64_t next;  ///< the cursor of the next page; 0: this was the last one
  std::span<const Neighbor> neighbors;
};

/// Answers the nearest keys that earlier pages have not: no key twice, and until the last page
/// every key that was there all the time, whatever is written between. Each page is a search for as
/// many as were answered, and for its own: with k so great, it finds as well as a search for all at
/// once. So other options may be chosen from page to page. After an error the cursor is where it
/// was. Errors: those of the search; of SearchCursors.
void start(Store& store, PagedSearchRequest request, Responder<SearchPage> responder);

}  // namespace engram
