// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx2 -mfma; called only where the processor has both.
#define Eigen Eigen_avx2
#include "primitives/flat/product-inl.h"

namespace engram::flat {

Product avx2_product() {
  return eigen_product;
}

}  // namespace engram::flat
