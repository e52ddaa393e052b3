// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/python_call.h"

#include <algorithm>

namespace engram::python {
namespace {

namespace py = pybind11;

constexpr std::size_t kMostBytes = 300;

thread_local bool in_primitive = false;

/// One line of valid UTF-8 without a full stop, as sentences of errors are.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' '; }, ' ');
  if (text.size() > kMostBytes) {
    std::size_t end = kMostBytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    text.resize(end);
    text += "...";
  } else if (text.ends_with('.')) {
    text.pop_back();
  }
  return text;
}

/// str(value), which may raise itself.
std::string text_of(const py::object& value) {
  if (!value) return {};
  const auto text = py::reinterpret_steal<py::object>(PyObject_Str(value.ptr()));
  Py_ssize_t size = 0;
  const char* const bytes = text ? PyUnicode_AsUTF8AndSize(text.ptr(), &size) : nullptr;
  if (bytes != nullptr) return {bytes, static_cast<std::size_t>(size)};
  PyErr_Clear();
  return "<a message that cannot be shown>";
}

}  // namespace

Error error_of(std::string_view primitive, const py::error_already_set& raised) {
  if (raised.matches(PyExc_KeyboardInterrupt)) PyErr_SetInterrupt();
  const bool is_of_memory = raised.matches(PyExc_MemoryError);
  const std::string type = reinterpret_cast<PyTypeObject*>(raised.type().ptr())->tp_name;
  const std::string message = text_of(raised.value());
  return {is_of_memory ? ErrorCode::kResourceExhausted : ErrorCode::kInvalidArgument,
          one_line("primitive '" + std::string(primitive) + "': " + type +
                   (message.empty() ? "" : ": " + message))};
}

bool is_in_primitive() noexcept {
  return in_primitive;
}

PrimitiveMark::PrimitiveMark() noexcept : was_in_(std::exchange(in_primitive, true)) {}

PrimitiveMark::~PrimitiveMark() {
  in_primitive = was_in_;
}

}  // namespace engram::python
