// SPDX-License-Identifier: Apache-2.0
// engramdb._engine.Memory: what a primitive written in Python sees of the items it holds.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/index.h"
#include "core/slot_set.h"

namespace engram::python {

/// Threads: all need the GIL. Members but end() raise Unsupported after end().
class Memory {
 public:
  /// context, held: outlive this, or the call of end().
  Memory(const IndexContext& context, const SlotSet& held) : context_(&context), held_(&held) {}

  /// The index goes away, and perhaps not who has this.
  void end() noexcept { context_ = nullptr; }
  /// What is held has changed, or is about to.
  void forget_arrays();

  [[nodiscard]] std::size_t dim() const { return context().store.dim(); }
  [[nodiscard]] std::string metric() const;
  [[nodiscard]] std::size_t size() const;

  /// The held slots, ascending: uint32 [n].
  pybind11::array slots();
  /// Their rows, float32 [n, dim]: of the store's memory where they lie side by side there, else a
  /// copy that is kept until something is inserted or erased.
  pybind11::array rows();
  /// float32 [dim], of the store's memory. Raises NotFound for a slot that is not held.
  pybind11::array row(std::int64_t slot);
  /// Of a vector [dim] to rows: float32, [slots] or, for None, [held].
  pybind11::array distances(pybind11::handle query, const pybind11::object& slots);

 private:
  [[nodiscard]] const IndexContext& context() const;
  pybind11::array view(Slot first, std::size_t count, bool is_matrix) const;
  pybind11::array copy_of(const pybind11::array& slots) const;

  const IndexContext* context_;
  const SlotSet* held_;
  pybind11::object slots_;  // or null, as rows_
  pybind11::object rows_;
};

/// Slots that Python gave, [n] of integers, each held; `what` names them in errors. Raises
/// InvalidArgument for others.
std::vector<Slot> slots_of(pybind11::handle given, const SlotSet& held, const char* what);

/// `array`, not to be written to.
pybind11::array read_only(pybind11::array array);

void bind_memory(pybind11::module_& module);

}  // namespace engram::python
