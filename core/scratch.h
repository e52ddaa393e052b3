// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

namespace engram {

/// A worker's reusable memory: each kind of operation keeps its buffers here between calls, so that
/// a query allocates only when it is larger than any before it. Owned by one thread.
///
///   struct BeamScratch { VisitedSet visited; std::vector<Hit> candidates; };
///   auto& beam = scratch.get<BeamScratch>();
class Scratch {
 public:
  /// This worker's only T, default-constructed when first asked for.
  template <class T>
  T& get() {
    // The address of a variable template is a type's identity without RTTI's comparisons.
    const void* const id = &kIdentity<T>;
    for (const Part& part : parts_) {
      if (part.id == id) return static_cast<Held<T>*>(part.held.get())->value;
    }
    auto held = std::make_unique<Held<T>>();
    T& value = held->value;
    parts_.push_back({id, std::move(held)});
    return value;
  }

 private:
  struct HeldBase {
    virtual ~HeldBase() = default;
  };
  template <class T>
  struct Held final : HeldBase {
    T value{};
  };
  struct Part {
    const void* id;
    std::unique_ptr<HeldBase> held;
  };

  template <class T>
  static inline char kIdentity = 0;

  std::vector<Part> parts_;  // few: a linear look-up beats a map
};

}  // namespace engram
