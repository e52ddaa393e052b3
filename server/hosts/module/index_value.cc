// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/index_value.h"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "server/engine/pending_work.h"
#include "server/engine/restored_collections.h"

namespace engram::host {
namespace {

/// Encodes one change. The id is nobody's, so that equal collections are equal bytes.
class Encoder final : public ChangeSink {
 public:
  explicit Encoder(std::string& out) : out_(out) {}
  void record(const Change& change) override {
    auto creation = std::get<NewCollection>(change);
    creation.id = kIdInFrame;
    encode(creation, out_);
  }
  [[nodiscard]] GracePeriod::Ticket begin() override { return 0; }
  void end(GracePeriod::Ticket) override {}

 private:
  std::string& out_;
};

}  // namespace

Result<std::shared_ptr<Collection>> make_collection(Host& host, NewCollection change) {
  change.id = host.store().keyspace().take_collection_id();
  auto collection = create_recorded(change, host.recovery_context());
  if (!collection) return collection;
  if ((*collection)->spec().decay.upkeep.merge_radius) {
    return fail(ErrorCode::kUnsupported, "the index merges by itself, which none does in a module");
  }
  host.adopt(**collection);
  return collection;
}

/// In a child nothing runs, so what waits for the end of something would wait for ever.
Status write_value(Host& host, Collection& collection, const ValueWriter::TakeChunk& take) {
  std::string creation;
  Encoder encoder(creation);
  record_creation(encoder, {}, kNeverExpires, collection);
  const auto is_ready = std::make_shared<bool>(false);
  const auto begin = [&] { collection.begin_save([is_ready] { *is_ready = true; }); };
  if (host.is_child()) {
    begin();
  } else {
    host.run_to_end(begin, [&] { return *is_ready; });
  }
  if (!*is_ready) return fail(ErrorCode::kUnsupported, "the index was being changed");
  ValueWriter writer(creation, take);
  Status written = collection.save(writer);
  if (written) writer.end();
  collection.end_save();
  return written;
}

Result<std::shared_ptr<Collection>> read_value(Host& host, ValueReader& reader) {
  ENGRAM_TRY(reader.finish());
  std::string_view bytes = reader.creation();
  const auto change = decode(bytes);
  if (!change) return tl::unexpected(change.error());
  const auto* const creation = std::get_if<NewCollection>(&*change);
  if (creation == nullptr || !bytes.empty()) {
    return fail(ErrorCode::kDataLoss, "the value is of no index");
  }
  auto collection = make_collection(host, *creation);
  if (!collection) return collection;
  (*collection)->set_change_sink(nullptr);
  ENGRAM_TRY((*collection)->load(reader));
  if (!(*collection)->spec().primitive->traits.saves_structure) {
    PendingWork work(host.store().workers(), host.recovery_context().wait_for_workers);
    (*collection)->rebuild(work.begin());
    ENGRAM_TRY(work.wait_for_all());
  }
  host.adopt(**collection);
  return collection;
}

}  // namespace engram::host
