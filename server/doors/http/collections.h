// SPDX-License-Identifier: Apache-2.0
// Which collection a request is about: that of /collections/{name}/..., or the default one.
#pragma once

#include <cstddef>
#include <string_view>

#include "core/result.h"
#include "server/doors/http/http_call.h"
#include "server/requests/default_collection.h"
#include "server/requests/index_ref.h"

namespace engram {

std::string_view collection_name(const MatchedRequest& call);

/// Errors: those of find_index().
Result<IndexRef> find_collection(const RoutedRequest& call);

/// More vectors of the index's dimension than a JSON body can hold are not worth room: its size
/// bounds them, whatever it says.
std::size_t most_vectors(const RoutedRequest& call, const IndexRef& index);

}  // namespace engram
