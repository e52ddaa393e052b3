// SPDX-License-Identifier: Apache-2.0
#include "server/requests/put.h"

#include <string>
#include <utility>

#include "core/row.h"

namespace engram {
namespace {

/// Bounds what an answer that names many keys can take.
constexpr std::size_t kMostKeyBytes = 65'536;

Status check_key(std::string_view key) {
  if (!key.empty() && key.size() <= kMostKeyBytes) return {};
  return fail(ErrorCode::kInvalidArgument, "a vector's key must have 1 to " +
                                               std::to_string(kMostKeyBytes) + " bytes, got " +
                                               std::to_string(key.size()));
}

Status stage(const PutRequest& request, Collection::PutBatch& batch) {
  const std::size_t dim = request.index().spec().dim;
  std::span<const float> vectors = request.vectors();
  for (const std::string_view key : request.keys()) {
    ENGRAM_TRY(batch.add(key, vectors.first(dim)));
    vectors = vectors.subspan(dim);
  }
  return {};
}

}  // namespace

void PutRequest::reserve(std::size_t count) {
  keys_.reserve(count);
  vectors_.reserve(index_, count);
}

Status PutRequest::add(std::string_view key, std::span<const float> vector) {
  ENGRAM_TRY(check_key(key));
  ENGRAM_TRY(vectors_.add(index_, vector));
  keys_.push_back(key);
  return {};
}

Status PutRequest::add(std::string_view key, std::string_view packed) {
  ENGRAM_TRY(check_key(key));
  ENGRAM_TRY(vectors_.add(index_, packed));
  keys_.push_back(key);
  return {};
}

Status read_options(std::vector<OptionText> options, PutRequest& request) {
  return read_strength(std::move(options), request.strength);
}

std::size_t expected_bytes(const PutRequest& request) {
  return request.keys().size() * row_bytes(request.index().spec().dim);
}

void start(Store& store, const PutRequest& request, Responder<std::size_t> responder) {
  if (request.keys().empty()) {
    return responder.refuse({ErrorCode::kInvalidArgument, "there is no vector to put"});
  }
  const auto gain = gain_of(store, request.index(), request.strength);
  if (!gain) return responder.refuse(gain.error());
  Collection::PutBatch batch(request.index().collection);
  if (const Status staged = stage(request, batch); !staged) {
    return responder.refuse(staged.error());
  }
  batch.commit(
      [responder = std::move(responder)](const Result<std::size_t>& added) {
        responder.take(added);
        responder.finish(0);
      },
      *gain);
}

void start(Store&, const EraseRequest& request, Responder<bool> responder) {
  request.index.collection->erase(request.key, [responder = std::move(responder)](bool erased) {
    responder.take(erased);
    responder.finish(0);
  });
}

Result<std::optional<std::vector<float>>> get_vector(Store& store, std::string_view index,
                                                     std::string_view key) {
  const auto found = find_index(store, index, Missing::kGone);
  if (!found) return tl::unexpected(found.error());
  auto vector = found->collection->get(key);
  ENGRAM_TRY(found->check_soundness());
  return vector;
}

}  // namespace engram
