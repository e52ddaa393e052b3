// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "core/metric.h"
#include "core/options.h"
#include "core/registry.h"

namespace engram {

/// What VNEW chose.
struct CollectionSpec {
  std::size_t dim;
  Metric metric;
  const Primitive* primitive;
  Options options;          ///< parsed against primitive->create_options
  std::string kernel_name;  ///< as make_kernel takes it
};

}  // namespace engram
