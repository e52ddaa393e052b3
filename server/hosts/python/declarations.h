// SPDX-License-Identifier: Apache-2.0
// Primitives that Python declares.
#pragma once

#include <pybind11/pybind11.h>

namespace engram::python {

/// register_primitive() and Memory.
void bind_primitives(pybind11::module_& module);

}  // namespace engram::python
