// SPDX-License-Identifier: Apache-2.0
#include "experiments/peers/engram_index.h"

namespace engram::peers {

EngramIndex::EngramIndex(std::string_view name, Metric metric, std::size_t dim,
                         std::span<const OptionText> given) {
  const Primitive& primitive = *find_primitive(name).value();
  const Options options = Options::parse(primitive.create_options, given).value();
  const Element element = stored_element(primitive, options);
  store = VectorStore::create(dim, metric, element).value();
  kernel = make_kernel("auto", metric, dim, element).value();
  index = primitive.create({*store, *kernel}, options).value();
}

}  // namespace engram::peers
