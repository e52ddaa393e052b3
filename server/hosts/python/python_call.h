// SPDX-License-Identifier: Apache-2.0
// Calls from the engine into Python, whose exceptions become errors.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.h"

namespace engram::python {

/// What Python raised, as "primitive 'name': ValueError: its message", in one line of some hundred
/// bytes. A MemoryError is kResourceExhausted, all others kInvalidArgument. An interrupt by the
/// keyboard interrupts the interpreter again, too. Needs the GIL.
Error error_of(std::string_view primitive, const pybind11::error_already_set& raised);

/// Whether this thread runs a method of a primitive.
bool is_in_primitive() noexcept;

/// While it lives, is_in_primitive().
class PrimitiveMark {
 public:
  PrimitiveMark() noexcept;
  ~PrimitiveMark();
  PrimitiveMark(const PrimitiveMark&) = delete;
  PrimitiveMark& operator=(const PrimitiveMark&) = delete;

 private:
  const bool was_in_;
};

/// The Status of `work`, which runs with the GIL and may throw what Python raised.
template <class Work>
Status call_python(std::string_view primitive, Work work) {
  const pybind11::gil_scoped_acquire acquired;
  const PrimitiveMark mark;
  try {
    return work();
  } catch (const pybind11::error_already_set& raised) {
    return tl::unexpected(error_of(primitive, raised));
  } catch (const std::exception& raised) {
    return fail(ErrorCode::kInvalidArgument,
                "primitive '" + std::string(primitive) + "': " + raised.what());
  }
}

}  // namespace engram::python
