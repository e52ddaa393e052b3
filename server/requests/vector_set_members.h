// SPDX-License-Identifier: Apache-2.0
// Looks at the elements of a vector set: at random, in the order of their bytes, and by the links
// that lead from one to others. Answers borrow keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/requests/index_ref.h"
#include "server/requests/responder.h"

namespace engram {

struct SampleRequest {
  IndexRef index;
  std::size_t count;  ///< at least 1
  bool repeats;       ///< an element may come several times, and `count` come
  std::uint64_t seed;
};

/// Answers elements at random, each as likely as another. Errors: kInvalidArgument for too many;
/// kResourceExhausted.
void start(Store& store, const SampleRequest& request,
           const Responder<std::vector<std::string_view>>& responder);

struct RangeRequest {
  IndexRef index;
  std::optional<std::string> from = {};  ///< none: from the first on
  std::optional<std::string> to = {};    ///< none: to the last
  bool without_from = false;
  bool without_to = false;
  std::optional<std::size_t> limit = {};
};

struct RangeItem {
  std::string_view key;
  Slot slot;  ///< for ReadView::read() and attributes_of()
};

struct RangeAnswer {
  std::span<const RangeItem> items;
  const ReadView* view;
};

/// Answers the elements between, ascending by their bytes. Errors: as above.
void start(Store& store, const RangeRequest& request, const Responder<RangeAnswer>& responder);

struct LinksRequest {
  IndexRef index;
  std::string_view key;  ///< borrowed until start() returns
};

struct Link {
  std::string_view key;
  float similarity;
};

/// By level, the highest first.
using Links = std::vector<std::vector<Link>>;

/// Answers where the index's graph leads from an element; where there is no graph, one level with
/// the nearest. Nothing if there is no such element. Errors: kResourceExhausted; those of
/// Index::search().
void start(Store& store, const LinksRequest& request, Responder<std::optional<Links>> responder);

}  // namespace engram
