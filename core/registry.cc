// SPDX-License-Identifier: Apache-2.0
#include "core/registry.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>

#include "core/assert.h"
#include "core/text.h"

namespace engram {
namespace {

struct Registry {
  std::map<std::string_view, Primitive> primitives;
  std::optional<DefaultRecaller> default_recaller;
  std::once_flag completed;
  bool is_complete = false;
  std::shared_mutex mutex;  // of what follows
  std::map<std::string_view, const Primitive*> later;
  std::deque<Primitive> kept;  // of `later`, and those that were replaced
};

/// Function-local, because registrations run before main in no particular order.
Registry& registry() {
  static Registry registry;
  return registry;
}

void complete(Primitive& primitive) {
  if (primitive.complete != nullptr) primitive.complete(primitive);
  const auto& recaller = registry().default_recaller;
  if (!primitive.recalls_by_default || !recaller) return;
  primitive.traits.recalls = true;
  primitive.recall_options = recaller->recall_options();
}

const std::map<std::string_view, Primitive>& completed() {
  Registry& all = registry();
  std::call_once(all.completed, [&] {
    all.is_complete = true;
    for (auto& [name, primitive] : all.primitives) complete(primitive);
  });
  return all.primitives;
}

}  // namespace

std::size_t max_dimension(const Primitive& primitive, const Options& options) {
  return primitive.max_dimension_with == nullptr ? primitive.max_dimension
                                                 : primitive.max_dimension_with(options);
}

Element stored_element(const Primitive& primitive, const Options& options) {
  return primitive.stored_element == nullptr ? Element::kF32 : primitive.stored_element(options);
}

Registration::Registration(const Primitive& primitive) {
  ENGRAM_ASSERT(primitive.create != nullptr);
  ENGRAM_ASSERT(!registry().is_complete);
  const Traits& traits = primitive.traits;
  ENGRAM_ASSERT(!traits.order_dependent || (traits.saves_structure && !traits.concurrent));
  const bool is_new = registry().primitives.emplace(primitive.name, primitive).second;
  ENGRAM_ASSERT(is_new);  // two primitives of one name
}

DefaultRecallerRegistration::DefaultRecallerRegistration(const DefaultRecaller& recaller) {
  ENGRAM_ASSERT(!registry().is_complete && !registry().default_recaller);
  registry().default_recaller = recaller;
}

Result<std::unique_ptr<Recaller>> make_default_recaller(const MemoryView& memory) {
  const auto& recaller = registry().default_recaller;
  if (!recaller) return nullptr;
  return recaller->create(memory);
}

bool is_registered(std::string_view name) {
  const std::shared_lock lock(registry().mutex);
  return registry().primitives.contains(name) || registry().later.contains(name);
}

Status register_at_run_time(const Primitive& primitive) {
  ENGRAM_ASSERT(primitive.create != nullptr);
  for (const auto& [name, own] : completed()) {
    if (!equal_ignoring_case(name, primitive.name)) continue;
    return fail(ErrorCode::kAlreadyExists,
                "primitive '" + std::string(name) + "' is one of the program itself");
  }
  const std::lock_guard lock(registry().mutex);
  Primitive& kept = registry().kept.emplace_back(primitive);
  complete(kept);
  registry().later.insert_or_assign(kept.name, &kept);
  return {};
}

std::vector<const Primitive*> primitives() {
  std::vector<const Primitive*> all;
  for (const auto& [name, primitive] : completed()) all.push_back(&primitive);
  const std::shared_lock lock(registry().mutex);
  for (const auto& [name, primitive] : registry().later) all.push_back(primitive);
  std::sort(all.begin(), all.end(),
            [](const Primitive* a, const Primitive* b) { return a->name < b->name; });
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
