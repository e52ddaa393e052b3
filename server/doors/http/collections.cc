// SPDX-License-Identifier: Apache-2.0
#include "server/doors/http/collections.h"

namespace engram {

std::string_view collection_name(const MatchedRequest& call) {
  return name_or_default(call.path_value("name"));
}

Result<IndexRef> find_collection(const RoutedRequest& call) {
  return find_index(call.services.store, collection_name(call), Missing::kGone);
}

std::size_t most_vectors(const RoutedRequest& call, const IndexRef& index) {
  constexpr std::size_t kLeastBytes = 2;  // of a number, with its comma
  return call.request.body.size() / (kLeastBytes * index.spec().dim);
}

}  // namespace engram
