// SPDX-License-Identifier: Apache-2.0
// engramdb_conformance: the conformance suite as a module, for primitives that are written in
// Python. It has a registry of its own, so they are registered here, too.
#define DOCTEST_CONFIG_NO_SHORT_MACRO_NAMES
#include <doctest/doctest.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <string>
#include <vector>

#include "server/hosts/python/declarations.h"

namespace engram::test {
namespace {

/// Runs doctest with such arguments, on the primitives that ENGRAM_PRIMITIVE says; 0: all passed.
int run_conformance(const std::vector<std::string>& arguments) {
  const pybind11::gil_scoped_release released;
  std::vector<const char*> words = {"conformance"};
  for (const std::string& argument : arguments) words.push_back(argument.c_str());
  return doctest::Context(static_cast<int>(words.size()), words.data()).run();
}

}  // namespace
}  // namespace engram::test

PYBIND11_MODULE(engramdb_conformance, module) {
  engram::python::bind_primitives(module);
  module.def("run_conformance", &engram::test::run_conformance);
}
