// SPDX-License-Identifier: Apache-2.0
// The product by Eigen, compiled once per instruction set. Includers rename Eigen's namespace
// first, so that the linker cannot merge functions of different instruction sets.
#pragma once

#include <Eigen/Core>

#include "primitives/flat/product.h"

namespace engram::flat {
namespace {

void eigen_product(const MatrixView& queries, const MatrixView& rows, float* dots, float* norms) {
  using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const auto index = [](std::size_t size) { return static_cast<Eigen::Index>(size); };
  const auto map = [&](const MatrixView& view) {
    return Eigen::Map<const Matrix>(view.data, index(view.rows), index(view.stride));
  };
  Eigen::Map<Matrix> out(dots, index(queries.rows), index(rows.rows));
  out.noalias() = map(queries) * map(rows).transpose();
  Eigen::Map<Eigen::VectorXf>(norms, index(rows.rows)) = map(rows).rowwise().squaredNorm();
}

}  // namespace
}  // namespace engram::flat
