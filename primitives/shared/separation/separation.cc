// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/separation/separation.h"

#include <algorithm>
#include <map>

#include "core/assert.h"

namespace engram {
namespace {

/// Function-local, because registrations run before main in no particular order.
std::map<std::string_view, SeparationSpec>& registered() {
  static std::map<std::string_view, SeparationSpec> table;
  return table;
}

}  // namespace

double Separation::weight_left_out(double /*others*/, double /*logit*/, double weight,
                                   double /*conjugate*/) const noexcept {
  return weight == 0 ? 0 : 1;
}

SeparationRegistration::SeparationRegistration(const SeparationSpec& spec) {
  ENGRAM_ASSERT(spec.make != nullptr);
  const bool is_new = registered().emplace(spec.name, spec).second;
  ENGRAM_ASSERT(is_new);  // two separations of one name
}

std::vector<const SeparationSpec*> separations() {
  std::vector<const SeparationSpec*> all;
  for (const auto& [name, spec] : registered()) all.push_back(&spec);
  std::stable_partition(all.begin(), all.end(),
                        [](const SeparationSpec* spec) { return spec->name == "softmax"; });
  return all;
}

const SeparationSpec* find_separation(std::string_view name) {
  const auto found = registered().find(name);
  return found == registered().end() ? nullptr : &found->second;
}

}  // namespace engram
