// SPDX-License-Identifier: Apache-2.0
#include "server/requests/attributes.h"

#include <utility>

#include "server/requests/index_ref.h"

namespace engram {
namespace {

/// The same, and nothing where there is no such index.
Result<std::optional<IndexRef>> find_if_there(Store& store, std::string_view name) {
  auto index = find_index(store, name, Missing::kGone);
  if (index) return std::optional(std::move(*index));
  if (index.error().code == ErrorCode::kNotFound) return std::optional<IndexRef>();
  return tl::unexpected(std::move(index.error()));
}

}  // namespace

Result<bool> set_attributes(Store& store, const SetAttributesRequest& request) {
  if (!request.attributes.empty()) ENGRAM_TRY(check_attributes(request.attributes));
  const auto index = find_if_there(store, request.index);
  if (!index) return tl::unexpected(index.error());
  if (!*index) return false;
  return (*index)->collection->set_attributes(request.key, request.attributes);
}

Result<std::optional<std::string_view>> get_attributes(Store& store, std::string_view index,
                                                       std::string_view key) {
  const auto found = find_if_there(store, index);
  if (!found) return tl::unexpected(found.error());
  if (!*found) return std::optional<std::string_view>();
  auto text = (*found)->collection->attributes_of(key);
  if (text && text->empty()) text.reset();
  return text;
}

}  // namespace engram
