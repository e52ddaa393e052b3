// SPDX-License-Identifier: Apache-2.0
#include "primitives/flat/product.h"

#ifdef __x86_64__

namespace engram::flat {

Product avx2_product();

Product best_product() {
  const bool runs = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return runs ? avx2_product() : nullptr;
}

}  // namespace engram::flat

#else

#include "primitives/flat/product-inl.h"

namespace engram::flat {

Product best_product() {
  return eigen_product;
}

}  // namespace engram::flat

#endif
