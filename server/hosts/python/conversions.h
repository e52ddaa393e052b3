// SPDX-License-Identifier: Apache-2.0
// Between Python's objects and what the engine takes and gives. Threads: all need the GIL.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "server/hosts/embedded/embedded_store.h"

namespace engram::python {

namespace py = pybind11;

/// Throws the class of engramdb that stands for the error's code, with its sentence.
[[noreturn]] void raise(const Error& error);

template <class T>
T value_of(Result<T> result) {
  if (!result) raise(result.error());
  return std::move(*result);
}
inline void check(const Status& status) {
  if (!status) raise(status.error());
}

/// While it lives other threads of Python run. A thread that comes back when the interpreter has
/// ended waits for ever.
class GilRelease {
 public:
  GilRelease() noexcept : state_(PyEval_SaveThread()) {}
  ~GilRelease();
  GilRelease(const GilRelease&) = delete;
  GilRelease& operator=(const GilRelease&) = delete;

 private:
  PyThreadState* const state_;
};

/// What `work` returns, which touches no object of Python: other threads run meanwhile.
template <class Work>
auto without_gil(Work work) {
  const GilRelease released;
  return work();
}

/// The bytes of a str, in UTF-8, or of a bytes object; valid as long as that is.
std::string_view bytes_of(py::handle object);

/// A key as Python sees it: str where its bytes are UTF-8, else bytes.
py::object key_object(std::string_view key);
py::list key_list(const std::vector<std::string>& keys);
py::object key_or_none(const std::optional<std::string>& key);

/// Keys that stay while other threads run.
class Keys {
 public:
  /// Takes any sequence of str and bytes.
  explicit Keys(py::handle sequence);
  [[nodiscard]] std::span<const std::string_view> views() const noexcept { return views_; }

 private:
  py::tuple held_;
  std::vector<std::string_view> views_;
};

/// Rows of float32, of the caller's memory where that is C-contiguous float32, else converted.
class Rows {
 public:
  /// [size] or [count, size]. Throws InvalidArgument for what is no array of numbers, or has
  /// other dimensions.
  explicit Rows(py::handle array);

  [[nodiscard]] bool is_single() const noexcept { return is_single_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const float> row(std::size_t i) const noexcept {
    return {data_ + i * size_, size_};
  }
  [[nodiscard]] std::span<const float> all() const noexcept { return {data_, count_ * size_}; }
  /// Of an array that is to be one vector. Throws InvalidArgument.
  [[nodiscard]] std::span<const float> single() const;

 private:
  py::array held_;
  const float* data_;
  bool is_single_;
  std::size_t count_;
  std::size_t size_;
};

/// Options by name, as texts.
using Words = std::vector<std::pair<std::string, std::string>>;

EmbeddedStore::OptionList options_of(const Words& words);

/// [values.size()], a copy.
template <class T>
py::array_t<T> array_of(std::span<const T> values) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

}  // namespace engram::python
