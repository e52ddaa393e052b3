// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/recall.h"
#include "server/resp/reply_writer.h"

namespace engram {

/// A map from names to values; those that read as numbers are written as such.
void write_facts(ReplyWriter& writer, const std::vector<Fact>& facts);

}  // namespace engram
