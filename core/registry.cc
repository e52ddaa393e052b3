// SPDX-License-Identifier: Apache-2.0
#include "core/registry.h"

#include <algorithm>
#include <map>
#include <string>

#include "core/assert.h"
#include "core/text.h"

namespace engram {
namespace {

/// Function-local, because registrations run before main in no particular order.
std::map<std::string_view, Primitive>& registered() {
  static std::map<std::string_view, Primitive> table;
  return table;
}

}  // namespace

Element stored_element(const Primitive& primitive, const Options& options) {
  return primitive.stored_element == nullptr ? Element::kF32 : primitive.stored_element(options);
}

Registration::Registration(const Primitive& primitive) {
  ENGRAM_ASSERT(primitive.create != nullptr);
  const bool is_new = registered().emplace(primitive.name, primitive).second;
  ENGRAM_ASSERT(is_new);  // two primitives of one name
}

std::vector<const Primitive*> primitives() {
  std::vector<const Primitive*> all;
  for (const auto& [name, primitive] : registered()) all.push_back(&primitive);
  return all;
}

Result<const Primitive*> find_primitive(std::string_view name) {
  std::string known;
  for (const Primitive* const primitive : primitives()) {
    if (equal_ignoring_case(primitive->name, name)) return primitive;
    known += (known.empty() ? "" : ", ") + std::string(primitive->name);
  }
  return fail(ErrorCode::kInvalidArgument, "unknown primitive '" + std::string(name.substr(0, 64)) +
                                               "', this server has " + known);
}

}  // namespace engram
