// SPDX-License-Identifier: Apache-2.0
#include "core/make_index.h"

namespace engram {
namespace {

Status check_decay(const IndexSpec& spec) {
  if (!spec.decay.is_on() || spec.primitive->traits.takes_bias) return {};
  std::string able;
  for (const Primitive* const primitive : primitives()) {
    if (!primitive->traits.takes_bias) continue;
    able += (able.empty() ? "" : ", ") + std::string(primitive->name);
  }
  return fail(ErrorCode::kInvalidArgument,
              "primitive " + std::string(spec.primitive->name) +
                  " has no place for strengths, so it takes no DECAY; those that do: " + able);
}

Status check_dimension(const IndexSpec& spec) {
  const std::size_t most = max_dimension(*spec.primitive, spec.options);
  if (spec.dim <= most) return {};
  const bool is_of_options = most < spec.primitive->max_dimension;
  return fail(ErrorCode::kInvalidArgument, "primitive " + std::string(spec.primitive->name) +
                                               " takes vectors of at most " + std::to_string(most) +
                                               " dimensions" +
                                               (is_of_options ? " with these options" : "") +
                                               ", got " + std::to_string(spec.dim));
}

}  // namespace

Result<OwnedIndex> make_index(const IndexSpec& spec, std::unique_ptr<RowPages> pages) {
  const Primitive& primitive = *spec.primitive;
  ENGRAM_TRY(check_dimension(spec));
  ENGRAM_TRY(check_decay(spec));
  const Element element = stored_element(primitive, spec.options);
  auto store = VectorStore::create(spec.dim, spec.metric, element, std::move(pages));
  if (!store) return tl::unexpected(std::move(store.error()));
  auto kernel = make_kernel(spec.kernel_name, spec.metric, spec.dim, element);
  if (!kernel) return tl::unexpected(std::move(kernel.error()));
  OwnedIndex made;
  made.store = std::move(*store);
  made.kernel = std::move(*kernel);
  auto index = primitive.create({*made.store, *made.kernel}, spec.options);
  if (!index) return tl::unexpected(std::move(index.error()));
  made.index = std::move(*index);
  return made;
}

}  // namespace engram
