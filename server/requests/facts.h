// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/recall.h"

namespace engram {

/// Facts in the making. A name keeps its first value.
class FactList {
 public:
  void add(Fact fact) {
    const bool is_known = std::any_of(facts_.begin(), facts_.end(),
                                      [&](const Fact& known) { return known.name == fact.name; });
    if (!is_known) facts_.push_back(std::move(fact));
  }
  void add(std::string name, std::string value) { add(Fact{std::move(name), std::move(value)}); }
  void add(std::string name, std::size_t value) { add(std::move(name), std::to_string(value)); }
  void add(std::vector<Fact> facts) {
    for (Fact& fact : facts) add(std::move(fact));
  }

  std::vector<Fact> take() && { return std::move(facts_); }

 private:
  std::vector<Fact> facts_;
};

}  // namespace engram
