// SPDX-License-Identifier: Apache-2.0
#include "server/requests/keys.h"

#include <string>
#include <variant>

#include "server/requests/shown.h"
#include "server/runtime/process.h"

namespace engram {
namespace {

std::size_t string_bytes(const Value& value) {
  const auto* const text = std::get_if<std::string>(&value);
  return text == nullptr ? 0 : text->size();
}

}  // namespace

Result<bool> rename_key(Store& store, const RenameRequest& request) {
  Keyspace& keyspace = store.keyspace();
  const Value* const value = keyspace.peek(request.from);
  if (value == nullptr) return fail(ErrorCode::kNotFound, "no such key");
  if (request.from == request.to) return !request.only_if_free;
  ENGRAM_TRY(check_room(keyspace, string_bytes(*value)));
  if (request.only_if_free && keyspace.contains(request.to)) return false;
  keyspace.rename(request.from, request.to);
  return true;
}

Result<bool> copy_key(Store& store, const CopyRequest& request) {
  if (request.from == request.to) {
    return fail(ErrorCode::kInvalidArgument, "source and destination objects are the same");
  }
  Keyspace& keyspace = store.keyspace();
  if (keyspace.find(request.from) == nullptr) return false;
  if (!request.replace && keyspace.contains(request.to)) return false;
  const auto source = keyspace.describe(request.from);
  const auto* const text = std::get_if<std::string>(&source->value);
  if (text == nullptr) {
    return fail(ErrorCode::kUnsupported,
                "'" + shown(request.from) + "' is an index, and only strings can be copied");
  }
  ENGRAM_TRY(check_room(keyspace, text->size()));
  const auto deadline = keyspace.expires_at(request.from);
  keyspace.set(request.to, *text, /*keep_ttl=*/false, source->form);
  if (deadline) keyspace.expire_at(request.to, *deadline);
  return true;
}

std::optional<std::string_view> random_key(Store& store) {
  return store.keyspace().random_key(random_seed());
}

Status check_room(const Keyspace& keyspace, std::size_t bytes) {
  if (keyspace.has_room_to_record(bytes)) return {};
  return fail(ErrorCode::kResourceExhausted,
              "a command, or a transaction, can change at most 2 GiB at once");
}

std::size_t change_bytes(std::span<const std::string_view> keys) noexcept {
  std::size_t bytes = 0;
  for (const std::string_view key : keys) bytes += change_bytes(key);
  return bytes;
}

}  // namespace engram
