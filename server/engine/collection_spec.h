// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/make_index.h"

namespace engram {

/// What VNEW chose.
using CollectionSpec = IndexSpec;

}  // namespace engram
