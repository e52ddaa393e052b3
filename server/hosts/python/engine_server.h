// SPDX-License-Identifier: Apache-2.0
// engramdb._engine.EngineServer: a server in this process.
#pragma once

#include <pybind11/pybind11.h>

namespace engram::python {

void bind_server(pybind11::module_& module);

}  // namespace engram::python
