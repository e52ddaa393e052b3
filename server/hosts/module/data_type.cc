// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/data_type.h"

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/engine/within_memory.h"
#include "server/hosts/module/index_value.h"
#include "server/runtime/log.h"

namespace engram::host {
namespace {

constexpr const char* kTypeName = "engramIDX";
constexpr int kEncoding = 1;
constexpr std::uint64_t kMore = 1;  // a chunk follows
constexpr std::uint64_t kNoMore = 0;

Type* registered_type = nullptr;

Collection& collection_of(const void* value) {
  return *static_cast<const IndexValue*>(value)->collection;
}

/// There is no way to say that saving has failed: what was written must not be taken for whole.
void end_unsaved(const Status& reason) {
  log_error("an index cannot be saved: " + reason.error().message);
  if (the_host().is_child()) ::_exit(1);
  std::abort();
}

void save_chunks(void* value, const ValueWriter::TakeChunk& take) {
  Host& host = the_host();
  const Status saved = within_memory([&]() -> Status {
    if (host.is_child() && !host.is_quiet()) {
      return fail(ErrorCode::kUnsupported, "a worker was busy when the process was forked");
    }
    return write_value(host, collection_of(value), take);
  });
  if (!saved) end_unsaved(saved);
}

void save_value(Io* io, void* value) {
  save_chunks(value, [io](std::string_view chunk) {
    api.SaveUnsigned(io, kMore);
    api.SaveStringBuffer(io, chunk.data(), chunk.size());
  });
  api.SaveUnsigned(io, kNoMore);
}

Status load_chunks(Io* io, ValueReader& reader) {
  const auto unreadable = [] { return fail(ErrorCode::kDataLoss, "the value is cut off"); };
  for (;;) {
    const std::uint64_t mark = api.LoadUnsigned(io);
    if (api.IsIOError(io) != 0) return unreadable();
    if (mark == kNoMore) return {};
    if (mark != kMore) return fail(ErrorCode::kDataLoss, "a mark between its chunks is damaged");
    std::size_t size = 0;
    const std::unique_ptr<char, void (*)(void*)> chunk(api.LoadStringBuffer(io, &size), api.Free);
    if (chunk == nullptr || api.IsIOError(io) != 0) return unreadable();
    ENGRAM_TRY(reader.add({chunk.get(), size}));
  }
}

void* load_value(Io* io, int encoding) {
  std::unique_ptr<IndexValue> value;
  const Status loaded = within_memory([&]() -> Status {
    if (encoding != kEncoding) return fail(ErrorCode::kUnsupported, "its encoding is unknown");
    ValueReader reader;
    ENGRAM_TRY(load_chunks(io, reader));
    auto collection = read_value(the_host(), reader);
    if (!collection) return tl::unexpected(std::move(collection.error()));
    value = std::make_unique<IndexValue>(IndexValue{std::move(*collection)});
    return {};
  });
  if (!loaded) log_warning("an index cannot be loaded: " + loaded.error().message);
  return value.release();
}

/// Slot migration reads what this writes as it comes, so no piece is large.
void rewrite_value(Io* io, String* key, void* value) {
  long long number = 0;
  save_chunks(value, [&](std::string_view chunk) {
    api.EmitAOF(io, "ENGRAM.LOAD", "slb", key, number++, chunk.data(), chunk.size());
  });
  api.EmitAOF(io, "ENGRAM.LOAD", "slc", key, number, "");
}

std::size_t value_memory(const void* value) {
  const Collection& collection = collection_of(value);
  return sizeof(IndexValue) + sizeof(Collection) + collection.memory().sum() +
         collection.series().structure_bytes();
}

void digest_value(Digest* sum, void* value) {
  save_chunks(value, [sum](std::string_view chunk) {
    api.DigestAddStringBuffer(sum, chunk.data(), chunk.size());
  });
  api.DigestEndSequence(sum);
}

/// Called by the thread of lazy freeing, too.
void free_value(void* value) {
  const std::unique_ptr<IndexValue> index(static_cast<IndexValue*>(value));
  the_host().let_go(std::move(index->collection));
}

std::size_t value_effort(String*, const void* value) {
  return collection_of(value).size();
}

void* copy_value(String*, String*, const void* value) {
  std::unique_ptr<IndexValue> copied;
  const Status done = within_memory([&]() -> Status {
    ValueReader reader;
    Status read;
    ENGRAM_TRY(write_value(the_host(), collection_of(value), [&](std::string_view chunk) {
      if (read) read = reader.add(chunk);
    }));
    ENGRAM_TRY(read);
    auto collection = read_value(the_host(), reader);
    if (!collection) return tl::unexpected(std::move(collection.error()));
    copied = std::make_unique<IndexValue>(IndexValue{std::move(*collection)});
    return {};
  });
  if (!done) log_warning("an index cannot be copied: " + done.error().message);
  return copied.release();
}

}  // namespace

Type* index_type() noexcept {
  return registered_type;
}

bool set_index(Key* key, std::shared_ptr<Collection> collection) {
  auto value = std::make_unique<IndexValue>(IndexValue{std::move(collection)});
  if (api.ModuleTypeSetValue(key, registered_type, value.get()) != kOk) return false;
  static_cast<void>(value.release());  // the server's
  return true;
}

bool register_index_type(Context* context) {
  TypeMethods methods;
  methods.load = load_value;
  methods.save = save_value;
  methods.rewrite = rewrite_value;
  methods.memory = value_memory;
  methods.digest = digest_value;
  methods.free = free_value;
  methods.free_effort = value_effort;
  methods.copy = copy_value;
  Type* const made = api.CreateDataType(context, kTypeName, kEncoding, &methods);
  if (made != nullptr) registered_type = made;
  return made != nullptr;
}

}  // namespace engram::host
