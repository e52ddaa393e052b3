// SPDX-License-Identifier: Apache-2.0
// A primitive whose methods are Python's.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/index.h"
#include "core/options.h"
#include "core/slot_set.h"
#include "server/hosts/python/memory.h"

namespace engram::python {

/// What `@engramdb.primitive` read off a class. Lives as long as the program, and needs no GIL but
/// where it calls `make`.
struct Declaration {
  std::string name;
  std::string summary;
  std::string source;
  bool exact;
  bool takes_ef;    ///< search(query, k, ef=...)
  bool recalls;     ///< recall(cue, known)
  bool has_energy;  ///< energy(state)
  std::vector<OptionSpec> options;
  std::vector<std::string> texts;  ///< that the options' names and help are of
  pybind11::object make;           ///< make(memory, {attribute: value}) -> the instance
};

/// Not concurrent, and rebuilt from its vectors. The scores of its answers are the kernel's: Python
/// says which slots they are of. Threads: as Index says; methods of Python take the GIL.
class PythonIndex final : public Index {
 public:
  /// Errors: what Python raises; those of the default recaller.
  static Result<std::unique_ptr<Index>> create(const Declaration& declaration,
                                               const IndexContext& context, const Options& options);
  ~PythonIndex() override;

  Status insert(const Insertion& item, Scratch& scratch) override;
  /// Where Python raises, the structure is built anew of what is held; if that fails as well,
  /// searches do until a write has built it.
  void erase(Slot slot, Scratch& scratch) override;
  /// Errors: what Python raises; kInvalidArgument for slots that are not held, or too few.
  Status search(Query query, const SearchParams& params, Scratch& scratch,
                std::vector<Hit>& hits) const override;
  std::size_t size() const noexcept override { return held_.size(); }
  /// Of the slots that are held: what Python has in memory nobody knows.
  std::size_t memory_bytes() const noexcept override {
    return sizeof(*this) + held_.memory_bytes();
  }
  Recaller* recaller() noexcept override { return recaller_.get(); }

 private:
  PythonIndex(const Declaration& declaration, const IndexContext& context, const Options& options);

  Status prepare();
  Status build();
  Status find(Query query, const SearchParams& params, std::size_t k,
              std::vector<Slot>& slots) const;

  const Declaration& declaration_;
  const IndexContext context_;
  const Options options_;
  SlotSet held_;
  const std::shared_ptr<Memory> memory_;
  pybind11::object instance_;
  std::optional<Error> fault_;  // why the structure is not that of what is held
  std::unique_ptr<Recaller> recaller_;
};

}  // namespace engram::python
