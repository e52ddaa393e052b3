// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/python/conversions.h"

#include <unistd.h>

namespace engram::python {
namespace {

const char* class_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "InvalidArgument";
    case ErrorCode::kNotFound:
      return "NotFound";
    case ErrorCode::kAlreadyExists:
      return "AlreadyExists";
    case ErrorCode::kWrongType:
      return "WrongType";
    case ErrorCode::kUnsupported:
      return "Unsupported";
    case ErrorCode::kResourceExhausted:
      return "ResourceExhausted";
    case ErrorCode::kDataLoss:
      return "DataLoss";
    case ErrorCode::kNoSpace:
    case ErrorCode::kUnavailable:
    case ErrorCode::kNotWritable:
      return "ReadOnly";
    case ErrorCode::kIo:
      return "StorageError";
  }
  return "Error";
}

/// Keeps a thread whose stack is being unwound.
struct Halt {
  Halt() = default;
  Halt(const Halt&) = delete;
  Halt& operator=(const Halt&) = delete;
  ~Halt() {
    while (is_on) ::pause();
  }
  bool is_on = true;
};

/// Before 3.14 CPython ends a thread that asks for the lock when the interpreter has ended: it
/// unwinds the stack, which runs into functions that may not throw and ends the process. From 3.14
/// on such a thread waits for ever, and so it does here, in a frame of its own, before any of
/// those.
[[gnu::noinline]] void take_gil(PyThreadState* state) {
  Halt halt;
  PyEval_RestoreThread(state);
  halt.is_on = false;
}

[[noreturn]] void raise_invalid(std::string message) {
  raise({ErrorCode::kInvalidArgument, std::move(message)});
}

}  // namespace

GilRelease::~GilRelease() {
  take_gil(state_);
}

void raise(const Error& error) {
  const py::object type = py::module_::import("engramdb._errors").attr(class_of(error.code));
  PyErr_SetObject(type.ptr(), py::str(error.message).ptr());
  throw py::error_already_set();
}

std::string_view bytes_of(py::handle object) {
  Py_ssize_t size = 0;
  if (PyUnicode_Check(object.ptr()) != 0) {
    const char* const text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
    if (text == nullptr) throw py::error_already_set();
    return {text, static_cast<std::size_t>(size)};
  }
  if (PyBytes_Check(object.ptr()) == 0) {
    raise_invalid("a key is str or bytes, got " + std::string(py::str(py::type::of(object))));
  }
  char* bytes = nullptr;
  PyBytes_AsStringAndSize(object.ptr(), &bytes, &size);
  return {bytes, static_cast<std::size_t>(size)};
}

py::object key_object(std::string_view key) {
  const auto size = static_cast<Py_ssize_t>(key.size());
  PyObject* const text = PyUnicode_DecodeUTF8(key.data(), size, nullptr);
  if (text != nullptr) return py::reinterpret_steal<py::object>(text);
  PyErr_Clear();
  return py::bytes(key.data(), key.size());
}

py::list key_list(const std::vector<std::string>& keys) {
  py::list list(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) list[i] = key_object(keys[i]);
  return list;
}

py::object key_or_none(const std::optional<std::string>& key) {
  return key ? key_object(*key) : py::none();
}

Keys::Keys(py::handle sequence)
    : held_(py::reinterpret_steal<py::tuple>(PySequence_Tuple(sequence.ptr()))) {
  if (!held_) throw py::error_already_set();
  views_.reserve(held_.size());
  for (const py::handle key : held_) views_.push_back(bytes_of(key));
}

Rows::Rows(py::handle array) {
  using Floats = py::array_t<float, py::array::c_style | py::array::forcecast |
                                        py::detail::npy_api::NPY_ARRAY_ALIGNED_>;
  held_ = Floats::ensure(array);
  if (!held_) raise_invalid("expected numbers, [dim] or [n, dim]");
  if (held_.ndim() != 1 && held_.ndim() != 2) {
    raise_invalid("expected an array of 1 or 2 dimensions, [dim] or [n, dim], got one of " +
                  std::to_string(held_.ndim()));
  }
  data_ = static_cast<const float*>(held_.data());
  is_single_ = held_.ndim() == 1;
  count_ = is_single_ ? 1 : static_cast<std::size_t>(held_.shape(0));
  size_ = static_cast<std::size_t>(held_.shape(held_.ndim() - 1));
  if (size_ == 0) raise_invalid("a vector has at least one dimension");
}

std::span<const float> Rows::single() const {
  if (!is_single_) {
    raise_invalid("expected one vector, [dim], got an array of " + std::to_string(count_) + " x " +
                  std::to_string(size_));
  }
  return row(0);
}

EmbeddedStore::OptionList options_of(const Words& words) {
  return {words.begin(), words.end()};
}

}  // namespace engram::python
