// SPDX-License-Identifier: Apache-2.0
// export: the items of a collection into a file, in the order of their keys' bytes.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "server/hosts/cli/files/output_file.h"
#include "server/hosts/cli/files/vector_files.h"
#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"
#include "server/hosts/cli/progress.h"

namespace engram {
namespace {

constexpr std::size_t kKeysOfPage = 65'536;  // each page of keys is a pass over all of them
constexpr std::size_t kItemsInFlight = 256;

/// What the collection was when the export began.
struct Shape {
  std::size_t dim;
  std::uint64_t items;
};

class Exporter {
 public:
  Exporter(Invocation& invocation, VectorWriter& writer, OutputFile* keys, const Shape& shape)
      : invocation_(invocation),
        writer_(writer),
        keys_(keys),
        shape_(shape),
        progress_("export", invocation.request.quiet) {}

  /// Until all is written, or an error, or an interruption.
  Status run() {
    KeyPages pages(invocation_);
    while (!is_interrupted()) {
      const auto keys = pages.next(kKeysOfPage);
      if (!keys) return tl::unexpected(keys.error());
      if (keys->empty()) break;
      for (std::size_t i = 0; i < keys->size() && !is_interrupted(); i += kItemsInFlight) {
        const std::size_t count = std::min(kItemsInFlight, keys->size() - i);
        ENGRAM_TRY(write_items(std::span(*keys).subspan(i, count)));
      }
    }
    progress_.end(written_);
    return {};
  }

  [[nodiscard]] std::uint64_t written() const noexcept { return written_; }

 private:
  Status write_items(std::span<const std::string> keys) {
    const std::string& collection = invocation_.request.collection;
    for (const std::string& key : keys) {
      invocation_.client.post({"VGET", collection, key});
      if (writer_.keeps_attributes()) invocation_.client.post({"VGETATTR", collection, key});
    }
    for (const std::string& key : keys) ENGRAM_TRY(write_item(key));
    progress_.show(written_, static_cast<double>(written_) /
                                 static_cast<double>(std::max<std::uint64_t>(shape_.items, 1)));
    return {};
  }

  Result<Reply> take() {
    auto reply = invocation_.client.take();
    if (reply && reply->kind == Reply::Kind::kError) return tl::unexpected(error_of(*reply));
    return reply;
  }

  Status write_item(const std::string& key) {
    const auto vector = take();
    if (!vector) return tl::unexpected(vector.error());
    row_.attributes.reset();
    if (writer_.keeps_attributes()) {
      const auto attributes = take();
      if (!attributes) return tl::unexpected(attributes.error());
      if (!attributes->is_null()) row_.attributes = one_line(*attributes);
    }
    if (vector->is_null()) return {};  // another client has deleted it
    row_.key = key;
    // Another client may have made another collection of that name meanwhile.
    if (vector->text.size() != shape_.dim * sizeof(float)) {
      return fail(ErrorCode::kInvalidArgument,
                  "the collection was replaced: the vector of '" + printable(key) + "' has " +
                      std::to_string(vector->text.size() / sizeof(float)) +
                      " dimensions, those before it have " + std::to_string(shape_.dim));
    }
    row_.vector.resize(shape_.dim);
    std::memcpy(row_.vector.data(), vector->text.data(), vector->text.size());
    ENGRAM_TRY(writer_.add(row_));
    ++written_;
    return keys_ == nullptr ? Status() : write_key(key);
  }

  Status write_key(const std::string& key) {
    if (key.find_first_of("\r\n") == std::string::npos) return keys_->write(key + "\n");
    return fail(
        ErrorCode::kInvalidArgument,
        "the key '" + printable(key) + "' has a line break, which a list of keys does not hold");
  }

  Invocation& invocation_;
  VectorWriter& writer_;
  OutputFile* const keys_;
  const Shape shape_;
  Progress progress_;
  VectorRow row_;
  std::uint64_t written_ = 0;
};

}  // namespace

Result<int> export_file(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const auto format = format_of(request.file, request.format);
  if (!format) return tl::unexpected(format.error());
  const auto facts = require_collection(invocation);
  if (!facts) return tl::unexpected(facts.error());
  const Reply* const dim = facts->find("vector-dim");
  const Reply* const size = facts->find("size");
  if (dim == nullptr || size == nullptr || dim->integer <= 0) {
    return fail(ErrorCode::kDataLoss, "the server tells no dimension of the collection");
  }
  const Shape shape = {static_cast<std::size_t>(dim->integer),
                       static_cast<std::uint64_t>(size->integer)};
  const auto writer = open_vector_writer(request.file, *format, shape.dim);
  if (!writer) return tl::unexpected(writer.error());
  std::optional<Result<OutputFile>> keys;
  if (!request.keys_file.empty()) {
    keys.emplace(OutputFile::create(request.keys_file));
    if (!*keys) return tl::unexpected(keys->error());
  }
  note_interrupts();
  Exporter exporter(invocation, **writer, keys ? &**keys : nullptr, shape);
  ENGRAM_TRY(exporter.run());
  if (is_interrupted()) {
    std::fputs("engram: interrupted; no file is written\n", stderr);
    return kRefused;
  }
  if (keys) ENGRAM_TRY((*keys)->finish());  // vectors without their keys are worth nothing
  ENGRAM_TRY((*writer)->end());
  invocation.out += request.json ? R"({"exported":)" + std::to_string(exporter.written()) + "}\n"
                                 : "exported " + grouped(exporter.written()) + " vectors\n";
  return kDone;
}

}  // namespace engram
