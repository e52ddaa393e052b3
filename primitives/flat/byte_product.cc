// SPDX-License-Identifier: Apache-2.0
// This file is compiled once per instruction set by foreach_target.h.
#include "primitives/flat/byte_product.h"

#include <optional>
#include <vector>

// As in core/kernels/simd.cc: SVE vectors cannot lie in arrays.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "primitives/flat/byte_product.cc"
#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>
// The order of the last three matters.
#include "primitives/flat/byte_product-inl.h"

#if HWY_ONCE
#include "core/kernels/targets.h"

namespace engram::flat {
namespace {

HWY_EXPORT(make_byte_product);

std::vector<ByteProduct> runnable_products() {
  std::vector<ByteProduct> products;
  kernels::for_each_target(kernels::runnable_targets(), [&](std::int64_t target) {
    auto product = kernels::function_for(target, HWY_DISPATCH_TABLE(make_byte_product))();
    if (!product) return;
    product->name = kernels::target_name(target);
    products.push_back(*product);
  });
  return products;
}

}  // namespace

std::span<const ByteProduct> byte_products() {
  static const std::vector<ByteProduct> kProducts = runnable_products();
  return kProducts;
}

}  // namespace engram::flat
#endif  // HWY_ONCE
