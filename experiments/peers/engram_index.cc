// SPDX-License-Identifier: Apache-2.0
#include "experiments/peers/engram_index.h"

namespace engram::peers {

OwnedIndex make_engram_index(std::string_view name, Metric metric, std::size_t dim,
                             std::span<const OptionText> options) {
  const Primitive& primitive = *find_primitive(name).value();
  return make_index({.dim = dim,
                     .metric = metric,
                     .primitive = &primitive,
                     .options = Options::parse(primitive.create_options, options).value()})
      .value();
}

}  // namespace engram::peers
