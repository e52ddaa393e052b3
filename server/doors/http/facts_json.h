// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "core/recall.h"
#include "server/json/json_writer.h"

namespace engram {

/// Facts as an object; those that read as numbers are numbers.
void write_facts(JsonWriter& json, const std::vector<Fact>& facts);

}  // namespace engram
