// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"
#include "server/engine/collection.h"

namespace engram {

/// An empty collection in the place of one that cannot be restored, `damage` set.
/// Its primitive is none of the registered ones and takes no vectors. Errors: kResourceExhausted.
Result<std::shared_ptr<Collection>> make_quarantined(const CollectionContext& context,
                                                     std::string damage);

/// "index 'name'", as errors call it; of a long name the beginning.
std::string index_label(std::string_view name);

}  // namespace engram
