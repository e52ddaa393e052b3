// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "core/index.h"
#include "core/registry.h"

namespace engram::peers {

/// A primitive below the server, through the contracts that the server uses: a store, a kernel, and
/// an index on both.
struct EngramIndex {
  /// options: as VNEW takes them. Those of a comparison are right, so this cannot fail.
  EngramIndex(std::string_view name, Metric metric, std::size_t dim,
              std::span<const OptionText> given);

  std::unique_ptr<VectorStore> store;
  std::unique_ptr<Kernel> kernel;
  std::unique_ptr<Index> index;
};

}  // namespace engram::peers
