// SPDX-License-Identifier: Apache-2.0
// The collection of requests that name none; the first put makes it.
#pragma once

#include <string_view>

#include "core/result.h"
#include "server/requests/index_ref.h"
#include "server/requests/index_requests.h"

namespace engram {

inline constexpr std::string_view kDefaultCollection = "default";

/// What a request means that names `name`, or none.
constexpr std::string_view name_or_default(std::string_view name) noexcept {
  return name.empty() ? kDefaultCollection : name;
}

/// The collection that vectors go to.
struct PutTarget {
  IndexRef index;
  bool is_made = false;  ///< by this very request, and nobody can see it yet
};

/// That of the name, or a new one as `usual` says if it is the default one and is not there.
/// Errors: those of find_index() and make_index().
Result<PutTarget> find_put_target(Store& store, const NewIndexRequest& usual);

/// Others may see it from now on; before the put starts.
void publish(Store& store, const PutTarget& target);

}  // namespace engram
