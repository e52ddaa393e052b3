// SPDX-License-Identifier: Apache-2.0
// import: rows of a file, in batches that are pipelined. A batch is answered when it is stored, so
// what is told at the end is there, however it ended.
#include <cmath>
#include <cstdio>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "server/hosts/cli/files/input_file.h"
#include "server/hosts/cli/files/vector_files.h"
#include "server/hosts/cli/invocation.h"
#include "server/hosts/cli/output.h"
#include "server/hosts/cli/progress.h"

namespace engram {
namespace {

constexpr std::size_t kBatchRows = 1024;
constexpr std::size_t kBatchBytes = 1UL << 20;
constexpr std::size_t kBatchesInFlight = 4;
constexpr std::size_t kMostKeyBytes = 65'536;

/// Stores rows, and counts what was answered.
class Importer {
 public:
  Importer(Invocation& invocation, VectorReader& reader, InputFile* keys)
      : invocation_(invocation),
        reader_(reader),
        keys_(keys),
        progress_("import", invocation.request.quiet) {}

  /// Until the file ends, or an error, or an interruption. What was read before either is stored.
  Status run() {
    Status read = read_rows();
    const Status posted = post_batch();
    if (read) read = posted;
    while (!in_flight_.empty()) take_batch();
    progress_.end(stored_);
    if (refusal_) return tl::unexpected(*refusal_);
    return read;
  }

  [[nodiscard]] std::uint64_t read() const noexcept { return read_; }
  [[nodiscard]] std::uint64_t stored() const noexcept { return stored_; }
  [[nodiscard]] std::uint64_t added() const noexcept { return added_; }

 private:
  /// How many rows each reply stands for.
  using Batch = std::vector<std::size_t>;

  Status read_rows() {
    VectorRow row;
    while (!is_interrupted() && !refusal_) {
      if (invocation_.request.limit != 0 && read_ == invocation_.request.limit) return {};
      const auto is_there = reader_.next(row);
      if (!is_there) return tl::unexpected(is_there.error());
      if (!*is_there) return {};
      ENGRAM_TRY(name(row));
      ENGRAM_TRY(check(row));
      if (read_ == 0) ENGRAM_TRY(prepare_collection(invocation_, row.vector.size()));
      ++read_;
      ENGRAM_TRY(take_up(row));
    }
    return {};
  }

  /// Gives a row its key: from the list of keys, of its own, or its number.
  Status name(VectorRow& row) {
    if (keys_ != nullptr) {
      const auto is_there = keys_->read_line(row.key, kMostKeyBytes);
      if (!is_there) return tl::unexpected(is_there.error());
      if (!*is_there) {
        return fail(ErrorCode::kDataLoss,
                    keys_->path() + " has " + grouped(read_) + " keys, fewer than there are rows");
      }
      if (row.key.ends_with('\r')) row.key.pop_back();
    } else if (!reader_.has_keys()) {
      row.key = std::to_string(read_);
    }
    row.key.insert(0, invocation_.request.prefix);
    return {};
  }

  /// The engine checks more; but it would not name the row.
  Status check(const VectorRow& row) const {
    for (std::size_t i = 0; i < row.vector.size(); ++i) {
      if (std::isfinite(row.vector[i])) continue;
      return fail(ErrorCode::kDataLoss, invocation_.request.file + " has a row " +
                                            std::to_string(read_) + " whose component " +
                                            std::to_string(i) + " is not finite");
    }
    return {};
  }

  Status take_up(VectorRow& row) {
    const std::string_view packed(reinterpret_cast<const char*>(row.vector.data()),
                                  row.vector.size() * sizeof(float));
    if (row.attributes) {
      post_group();
      const std::size_t replies = post_item(invocation_.client, invocation_.request.collection,
                                            row.key, packed, std::string_view(*row.attributes));
      batch_.push_back(1);
      batch_.resize(batch_.size() + replies - 1);
    } else {
      keys_of_group_.push_back(row.key);
      vectors_of_group_.emplace_back(packed);
    }
    bytes_ += row.key.size() + packed.size() + (row.attributes ? row.attributes->size() : 0);
    const bool is_full =
        bytes_ >= kBatchBytes || batch_.size() + keys_of_group_.size() >= kBatchRows;
    return is_full ? post_batch() : Status();
  }

  Status post_batch() {
    post_group();
    if (batch_.empty()) return {};
    ENGRAM_TRY(invocation_.client.flush());
    in_flight_.push_back(std::exchange(batch_, {}));
    bytes_ = 0;
    if (in_flight_.size() > kBatchesInFlight) take_batch();
    progress_.show(stored_, reader_.progress());
    return {};
  }

  /// Rows without attributes are one command.
  void post_group() {
    if (keys_of_group_.empty()) return;
    Words words = {"VMADD", invocation_.request.collection};
    words.reserve(2 + 2 * keys_of_group_.size());
    for (std::size_t i = 0; i < keys_of_group_.size(); ++i) {
      words.emplace_back(keys_of_group_[i]);
      words.emplace_back(vectors_of_group_[i]);
    }
    invocation_.client.post(words);
    batch_.push_back(keys_of_group_.size());
    keys_of_group_.clear();
    vectors_of_group_.clear();
  }

  /// Waits for the oldest batch.
  void take_batch() {
    const Batch batch = std::move(in_flight_.front());
    in_flight_.pop_front();
    for (const std::size_t rows : batch) {
      const auto reply = invocation_.client.take();
      if (!reply) {
        refusal_ = reply.error();
        in_flight_.clear();
        return;
      }
      if (reply->kind == Reply::Kind::kError) {
        if (!refusal_) refusal_ = error_of(*reply);
        continue;
      }
      stored_ += rows;
      if (reply->kind == Reply::Kind::kInteger)
        added_ += static_cast<std::uint64_t>(reply->integer);
    }
  }

  Invocation& invocation_;
  VectorReader& reader_;
  InputFile* const keys_;  // a key a line; null: there is no such list
  Progress progress_;
  std::uint64_t read_ = 0;
  std::uint64_t stored_ = 0;
  std::uint64_t added_ = 0;
  std::vector<std::string> keys_of_group_;
  std::vector<std::string> vectors_of_group_;
  Batch batch_;  // was posted in part
  std::size_t bytes_ = 0;
  std::deque<Batch> in_flight_;
  std::optional<Error> refusal_;  // the first
};

void print_counts(Invocation& invocation, const Importer& importer, bool is_whole) {
  const std::uint64_t replaced = importer.stored() - importer.added();
  if (invocation.request.json) {
    JsonWriter json(invocation.out);
    json.begin_object();
    json.name("imported").count(importer.stored());
    json.name("inserted").count(importer.added());
    json.name("replaced").count(replaced);
    json.name("complete").boolean(is_whole);
    json.end_object();
    invocation.out += '\n';
    return;
  }
  invocation.out += "imported " + grouped(importer.stored()) +
                    " vectors: " + grouped(importer.added()) + " new, " + grouped(replaced) +
                    " replaced\n";
}

}  // namespace

Result<int> import_file(Invocation& invocation) {
  const CliRequest& request = invocation.request;
  const auto format = format_of(request.file, request.format);
  if (!format) return tl::unexpected(format.error());
  const auto reader = open_vector_reader(request.file, *format);
  if (!reader) return tl::unexpected(reader.error());
  std::optional<InputFile> keys;
  if (!request.keys_file.empty()) {
    auto file = InputFile::open(request.keys_file);
    if (!file) return tl::unexpected(std::move(file.error()));
    keys = std::move(*file);
  }
  note_interrupts();
  Importer importer(invocation, **reader, keys ? &*keys : nullptr);
  const Status ran = importer.run();
  const bool is_whole = ran.has_value() && !is_interrupted();
  print_counts(invocation, importer, is_whole);
  // The next command opens the directory again, and is spared building the graph.
  invocation.wants_snapshot = importer.stored() != 0;
  ENGRAM_TRY(ran);
  if (is_whole) return kDone;
  std::fprintf(stderr, "engram: interrupted; the first %s rows are stored\n",
               grouped(importer.stored()).c_str());
  return kRefused;
}

}  // namespace engram
