// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/memory.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "core/bound.h"
#include "core/row.h"
#include "server/hosts/python/conversions.h"
#include "server/hosts/python/python_call.h"

namespace engram::python {
namespace {

/// Keeps the memory of rows as long as an array of them lives.
py::capsule keeper_of(const VectorStore& store) {
  using Owner = std::shared_ptr<const VectorStore>;
  auto owner = std::make_unique<Owner>(store.shared_from_this());
  py::capsule keeper(owner.get(), [](void* held) { delete static_cast<Owner*>(held); });
  [[maybe_unused]] Owner* const given = owner.release();
  return keeper;
}

}  // namespace

py::array read_only(py::array array) {
  array.attr("setflags")(py::arg("write") = false);
  return array;
}

std::vector<Slot> slots_of(py::handle given, const SlotSet& held, const char* what) {
  const auto refuse = [what](const std::string& why) {
    raise({ErrorCode::kInvalidArgument, std::string(what) + " " + why});
  };
  const py::array any = py::array::ensure(given);
  if (!any || any.ndim() != 1) refuse("are not an array [n] of slots");
  const char kind = any.dtype().kind();
  if (any.size() > 0 && kind != 'i' && kind != 'u') {
    refuse("are no slots but numbers of " + std::string(py::str(any.dtype())));
  }
  const auto numbers =
      py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>::ensure(any);
  std::vector<Slot> slots;
  slots.reserve(static_cast<std::size_t>(numbers.size()));
  for (const std::int64_t number : std::span(numbers.data(), slots.capacity())) {
    const bool is_held =
        number >= 0 && number < std::int64_t{kMaxSlots} && held.contains(static_cast<Slot>(number));
    if (!is_held) refuse("have slot " + std::to_string(number) + ", which is not held");
    slots.push_back(static_cast<Slot>(number));
  }
  return slots;
}

const IndexContext& Memory::context() const {
  if (context_ == nullptr) raise({ErrorCode::kUnsupported, "the index of this memory is gone"});
  return *context_;
}

void Memory::forget_arrays() {
  slots_ = {};
  rows_ = {};
}

std::string Memory::metric() const {
  return std::string(metric_name(context().store.metric()));
}

std::size_t Memory::size() const {
  return context_ == nullptr ? 0 : held_->size();
}

py::array Memory::slots() {
  if (!slots_) {
    static_cast<void>(context());
    std::vector<Slot> held;
    held_->list(held);
    slots_ = read_only(array_of<Slot>(held));
  }
  return slots_;
}

py::array Memory::rows() {
  if (!rows_) {
    const VectorStore& store = context().store;
    const py::array held = slots();
    const auto count = static_cast<std::size_t>(held.size());
    const auto* const first = static_cast<const Slot*>(held.data());
    const bool lie_side_by_side = count > 0 && first[count - 1] - first[0] == count - 1 &&
                                  store.run_length(first[0]) >= count &&
                                  store.rows_place() == RowsPlace::kMemory;
    rows_ = lie_side_by_side ? view(*first, count, true) : copy_of(held);
  }
  return rows_;
}

py::array Memory::row(std::int64_t slot) {
  const VectorStore& store = context().store;
  const bool is_held =
      slot >= 0 && slot < std::int64_t{kMaxSlots} && held_->contains(static_cast<Slot>(slot));
  if (!is_held) {
    raise({ErrorCode::kNotFound, "slot " + std::to_string(slot) + " is not held"});
  }
  if (store.rows_place() == RowsPlace::kMemory) return view(static_cast<Slot>(slot), 1, false);
  const auto* const row = reinterpret_cast<const float*>(store.row(static_cast<Slot>(slot)));
  return read_only(array_of<float>({row, store.dim()}));
}

/// [dim], or [count, dim].
py::array Memory::view(Slot first, std::size_t count, bool is_matrix) const {
  const VectorStore& store = context().store;
  std::vector<std::size_t> shape = {store.dim()};
  std::vector<std::size_t> strides = {sizeof(float)};
  if (is_matrix) {
    shape.insert(shape.begin(), count);
    strides.insert(strides.begin(), store.row_bytes());
  }
  return read_only(py::array_t<float>(
      shape, strides, reinterpret_cast<const float*>(store.row(first)), keeper_of(store)));
}

py::array Memory::copy_of(const py::array& slots) const {
  const VectorStore& store = context().store;
  const auto count = static_cast<std::size_t>(slots.size());
  py::array_t<float> copy({count, store.dim()});
  const auto* const slot = static_cast<const Slot*>(slots.data());
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(copy.mutable_data() + i * store.dim(), store.row(slot[i]),
                store.dim() * sizeof(float));
  }
  return read_only(std::move(copy));
}

py::array Memory::distances(py::handle query, const py::object& slots) {
  const IndexContext& index = context();
  const Rows vector(query);
  const auto components = vector.single();
  if (components.size() != index.store.dim()) {
    raise({ErrorCode::kInvalidArgument, "vector has " + std::to_string(components.size()) +
                                            " dimensions, the memory has " +
                                            std::to_string(index.store.dim())});
  }
  check(check_vector(components));
  std::vector<Slot> wanted;
  if (slots.is_none()) {
    held_->list(wanted);
  } else {
    wanted = slots_of(slots, *held_, "the slots");
  }
  py::array_t<float> distances(static_cast<py::ssize_t>(wanted.size()));
  const std::span<float> scores(distances.mutable_data(), wanted.size());
  AlignedBuffer buffer;
  const Bound bound(index.kernel, index.kernel.prepare(components, buffer), index.store);
  const auto compute = [&] {
    bound.gather(wanted, scores);
    for (float& score : scores) score = score_to_distance(index.store.metric(), score);
  };
  // In a method of the primitive the index stays; elsewhere it is the GIL that keeps it.
  if (is_in_primitive()) {
    without_gil(compute);
  } else {
    compute();
  }
  return distances;
}

void bind_memory(py::module_& module) {
  // Of this module: the tests' has one, too.
  py::class_<Memory, std::shared_ptr<Memory>>(module, "Memory", py::module_local())
      .def_property_readonly("dim", &Memory::dim)
      .def_property_readonly("metric", &Memory::metric)
      .def_property_readonly("slots", &Memory::slots)
      .def_property_readonly("rows", &Memory::rows)
      .def("__len__", &Memory::size)
      .def("row", &Memory::row, py::arg("slot"))
      .def("distances", &Memory::distances, py::arg("query"), py::arg("slots") = py::none());
}

}  // namespace engram::python
