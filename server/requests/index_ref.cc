// SPDX-License-Identifier: Apache-2.0
#include "server/requests/index_ref.h"

#include <variant>

#include "core/registry.h"
#include "server/requests/shown.h"

namespace engram {
namespace {

std::string recalling_primitives() {
  std::string names;
  for (const Primitive* const primitive : primitives()) {
    if (!primitive->traits.recalls) continue;
    names += (names.empty() ? "" : ", ") + std::string(primitive->name);
  }
  return names;
}

}  // namespace

Result<IndexRef> find_any_index(Store& store, std::string_view name, Missing missing) {
  const Value* const value = store.keyspace().find(name);
  if (value == nullptr) {
    return fail(ErrorCode::kNotFound,
                "no such index '" + shown(name) +
                    (missing == Missing::kToBeMade ? "', VNEW makes one" : "'"));
  }
  const auto* const collection = std::get_if<std::shared_ptr<Collection>>(value);
  if (collection == nullptr) return fail(ErrorCode::kWrongType, "the key holds a string");
  return IndexRef{std::string(name), *collection};
}

Result<IndexRef> find_index(Store& store, std::string_view name, Missing missing) {
  auto index = find_any_index(store, name, missing);
  if (!index) return index;
  const std::string& damage = index->collection->find_damage(name);
  if (!damage.empty()) return fail(ErrorCode::kDataLoss, damage);
  return index;
}

Result<IndexRef> find_tunable_index(Store& store, std::string_view name, Missing missing) {
  auto index = find_index(store, name, missing);
  if (!index || !index->spec().primitive->traits.exact) return index;
  return find_recalling_index(store, name, missing);
}

Result<IndexRef> find_recalling_index(Store& store, std::string_view name, Missing missing) {
  auto index = find_index(store, name, missing);
  if (!index || index->spec().primitive->traits.recalls) return index;
  const std::string able = recalling_primitives();
  return fail(ErrorCode::kUnsupported,
              "primitive '" + std::string(index->spec().primitive->name) + "' of index '" +
                  shown(name) + "' cannot recall, " +
                  (able.empty() ? "nor can any other of this server" : "those that can: " + able));
}

}  // namespace engram
