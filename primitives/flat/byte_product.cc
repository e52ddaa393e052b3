// SPDX-License-Identifier: Apache-2.0
// This file is compiled once per instruction set by foreach_target.h.
#include "primitives/flat/byte_product.h"

#include <optional>
#include <vector>

#include "core/kernels/disabled_targets.h"

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
