// SPDX-License-Identifier: Apache-2.0
#include "server/engine/attribute_columns.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <utility>

#include "core/slot_set.h"
#include "server/engine/within_memory.h"

namespace engram {

namespace {

/// The time that a turn may take.
class BuildTurn {
 public:
  explicit BuildTurn(std::chrono::milliseconds length) : until_(Clock::now() + length) {}

  /// The clock is looked at each time that much has been done.
  [[nodiscard]] bool is_over() {
    if (done_ >= kBetweenLooks) {
      done_ = 0;
      is_over_ = Clock::now() >= until_;
    }
    return is_over_;
  }
  void add(std::size_t done) noexcept { done_ += done; }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kBetweenLooks = 256;

  const Clock::time_point until_;
  std::size_t done_ = 0;  // since the clock was looked at
  bool is_over_ = false;
};

}  // namespace

/// Columns that are being built together: by one pass over the attributes, and then by rounds over
/// what was written meanwhile. A round is of what had changed when it began, so each ends; so do
/// they all, because writes to the columns themselves begin with the last.
struct AttributeColumns::Build {
  std::vector<std::shared_ptr<Column>> columns;
  std::vector<Column*> writable = {};  // the same
  Slot next = 0;
  Slot end = 0;          // slots from there on have had no attributes but by writes
  SlotSet changed = {};  // by writes since a step looked
  int rounds = 0;
  Slot round_next = 0;
  Slot round_end = 0;
  bool is_last = false;  // the round: it is the loop's, and writes store their cells
  AttributeReader reader = {};
  Status noted = {};  // what noting writes came to

  [[nodiscard]] bool goes_on() const noexcept { return next < end || round_next < round_end; }
  void begin_round() {
    ++rounds;
    round_next = 0;
    round_end = changed.end();
  }

  /// Goes on for as long as the turn lasts.
  Status work(const Attributes& attributes, BuildTurn turn);
  Status look_at(const Attributes& attributes, Slot slot, BuildTurn& turn);
  /// The attributes of `slot` are `text` now.
  Status note(Slot slot, std::string_view text);
};

Status AttributeColumns::Build::work(const Attributes& attributes, BuildTurn turn) {
  for (; next < end && !turn.is_over(); ++next) ENGRAM_TRY(look_at(attributes, next, turn));
  while (round_next < round_end && !turn.is_over()) {
    const Slot slot = round_next++;
    turn.add(1);
    if (changed.contains(slot)) {
      changed.erase(slot);  // first, so that a write from now on is not missed
      ENGRAM_TRY(look_at(attributes, slot, turn));
    }
  }
  return {};
}

Status AttributeColumns::Build::look_at(const Attributes& attributes, Slot slot, BuildTurn& turn) {
  constexpr std::size_t kBytesLikeACell = 16;
  const std::string_view text = attributes.text(slot);
  turn.add(writable.size() + text.size() / kBytesLikeACell);
  return reader.store(writable, slot, text);
}

Status AttributeColumns::Build::note(Slot slot, std::string_view text) {
  if (is_last) return reader.store(writable, slot, text);
  const auto added = changed.insert(slot);
  if (!added) return tl::unexpected(added.error());
  return {};
}

AttributeColumns::Kept* AttributeColumns::find(std::string_view field) noexcept {
  for (Kept& kept : kept_) {
    if (kept.column->field() == field) return &kept;
  }
  return nullptr;
}

bool AttributeColumns::has_all(std::span<const std::string> fields) noexcept {
  return std::all_of(fields.begin(), fields.end(),
                     [this](const std::string& field) { return find(field) != nullptr; });
}

void AttributeColumns::ask(Request request) {
  if (!dropped_.empty()) let_go();
  if (has_all(request.fields)) {
    const std::uint64_t since = ++asked_;
    auto columns = columns_of(request, since);
    make_room(since, request.most_bytes);
    return request.ready(std::move(columns));
  }
  if (request.memory_is_full != nullptr && (*request.memory_is_full)()) {
    return request.ready(fail(ErrorCode::kResourceExhausted,
                              "used memory > 'maxmemory', and the filter needs a column that is "
                              "not there yet"));
  }
  waiting_.push_back(std::move(request));
  if (build_ == nullptr) start_build();
}

/// All are there.
AttributeColumns::Columns AttributeColumns::columns_of(const Request& request,
                                                       std::uint64_t asked) {
  Columns columns;
  for (const std::string& field : request.fields) {
    Kept& kept = *find(field);
    kept.last_asked = asked;
    columns.push_back(kept.column);
  }
  return columns;
}

/// Of the fields that the first request lacks, and the next ones for as long as there are not too
/// many.
void AttributeColumns::start_build() {
  build_ = std::make_shared<Build>();
  auto& building = build_->columns;
  for (const Request& request : waiting_) {
    std::vector<std::shared_ptr<Column>> lacking;
    for (const std::string& field : request.fields) {
      const auto is_of_field = [&](const auto& column) { return column->field() == field; };
      const bool is_there = find(field) != nullptr ||
                            std::any_of(building.begin(), building.end(), is_of_field) ||
                            std::any_of(lacking.begin(), lacking.end(), is_of_field);
      if (!is_there) lacking.push_back(std::make_shared<Column>(field));
    }
    if (!building.empty() && building.size() + lacking.size() > kMostColumns) break;
    std::move(lacking.begin(), lacking.end(), std::back_inserter(building));
  }
  for (const auto& column : build_->columns) build_->writable.push_back(column.get());
  build_->end = attributes_.end();
  if (build_->end == 0) return end_build({});
  step();
}

void AttributeColumns::step() {
  static constexpr std::chrono::milliseconds kTurn{3};
  const auto status = std::make_shared<Status>();
  operations_.read(
      Lane::kBulk,
      [this, build = build_, status](Scratch&) {
        *status = within_memory([&] { return build->work(attributes_, BuildTurn(kTurn)); });
      },
      [this, status] { end_step(*status); });
}

void AttributeColumns::end_step(const Status& status) {
  constexpr int kRounds = 3;        // of workers
  constexpr std::size_t kFew = 16;  // for the loop
  Build& build = *build_;
  if (!status) return end_build(status);
  if (!build.noted) return end_build(build.noted);
  if (build.goes_on()) return step();
  build.is_last = build.rounds == kRounds || build.changed.size() <= kFew;
  build.begin_round();
  build.is_last ? finish_build() : step();
}

/// In turns of the loop.
void AttributeColumns::finish_build() {
  constexpr std::chrono::milliseconds kTurn{1};
  Build& build = *build_;
  Status status = build.noted;
  if (status) {
    status = within_memory([&] { return build.work(attributes_, BuildTurn(kTurn)); });
  }
  if (!status || !build.goes_on()) return end_build(status);
  operations_.read(
      Lane::kBulk, [](Scratch&) {}, [this] { finish_build(); });
}

/// Who asked for nothing that is missing is answered. No column goes before all those have theirs;
/// an answer may ask for more.
void AttributeColumns::end_build(const Status& status) {
  const auto build = std::exchange(build_, nullptr);
  const std::uint64_t since = ++asked_;
  if (status) {
    for (auto& column : build->columns) {
      const std::size_t bytes = column->dictionary_bytes();
      kept_.push_back({std::move(column), bytes, since});
    }
    list_written();
  }
  const auto is_of_build = [&](const std::string& field) {
    return std::any_of(build->columns.begin(), build->columns.end(),
                       [&](const auto& column) { return column->field() == field; });
  };
  std::vector<std::pair<Request, Result<Columns>>> answers;
  std::size_t most_bytes = std::numeric_limits<std::size_t>::max();
  for (Request& request : std::exchange(waiting_, {})) {
    const auto& fields = request.fields;
    if (has_all(fields)) {
      most_bytes = std::min(most_bytes, request.most_bytes);
      auto columns = columns_of(request, since);
      answers.emplace_back(std::move(request), std::move(columns));
    } else if (!status && std::any_of(fields.begin(), fields.end(), is_of_build)) {
      answers.emplace_back(std::move(request), tl::unexpected(status.error()));
    } else {
      waiting_.push_back(std::move(request));
    }
  }
  make_room(since, most_bytes);
  for (auto& [request, columns] : answers) request.ready(std::move(columns));
  if (build_ == nullptr && !waiting_.empty()) start_build();
}

void AttributeColumns::note(Slot slot, std::string_view text) {
  if (build_ != nullptr && build_->noted) {
    build_->noted = within_memory([&] { return build_->note(slot, text); });
  }
  if (!dropped_.empty()) let_go();
  if (written_.empty()) return;
  const Status stored = within_memory([&] { return reader_.store(written_, slot, text); });
  if (!stored) {  // none of them is right any more
    for (const Kept& kept : kept_) observer_(*kept.column);
    kept_.clear();
    dropped_.clear();
    return list_written();
  }
  // What was overwritten stays in the dictionaries.
  constexpr std::size_t kWorthwhile = std::size_t{1} << 20;
  for (std::size_t i = kept_.size(); i-- > 0;) {
    const std::size_t bytes = kept_[i].column->dictionary_bytes();
    if (bytes > kWorthwhile && bytes > 2 * kept_[i].built_bytes) drop(i);
  }
}

/// Columns that were asked for since then stay.
void AttributeColumns::make_room(std::uint64_t asked_since, std::size_t most_bytes) {
  std::size_t bytes = 0;
  for (const Kept& kept : kept_) bytes += kept.column->memory_bytes();
  while (kept_.size() > kMostColumns || bytes > most_bytes) {
    const auto oldest =
        std::min_element(kept_.begin(), kept_.end(),
                         [](const Kept& a, const Kept& b) { return a.last_asked < b.last_asked; });
    if (oldest->last_asked >= asked_since) return;
    bytes -= oldest->column->memory_bytes();
    drop(static_cast<std::size_t>(oldest - kept_.begin()));
  }
}

void AttributeColumns::drop(std::size_t index) {
  dropped_.push_back(std::move(kept_[index].column));
  kept_.erase(kept_.begin() + static_cast<std::ptrdiff_t>(index));
  observer_(*dropped_.back());
  let_go();
  if (!dropped_.empty()) operations_.after_running([this] { let_go(); });
}

/// Of what nobody has. Its memory is given back on a worker.
void AttributeColumns::let_go() {
  std::erase_if(dropped_, [this](std::shared_ptr<Column>& column) {
    if (column.use_count() > 1) return false;
    const auto last = std::make_shared<std::shared_ptr<Column>>(std::move(column));
    operations_.read(
        Lane::kBulk, [last](Scratch&) { last->reset(); }, [] {});
    return true;
  });
  list_written();
}

void AttributeColumns::list_written() {
  written_.clear();
  for (const Kept& kept : kept_) written_.push_back(kept.column.get());
  for (const auto& column : dropped_) written_.push_back(column.get());
}

std::size_t AttributeColumns::memory_bytes() const noexcept {
  std::size_t bytes = 0;
  for (const Column* const column : written_) bytes += column->memory_bytes();
  if (build_ != nullptr) {
    bytes += build_->changed.memory_bytes();
    for (const auto& column : build_->columns) bytes += column->memory_bytes();
  }
  return bytes;
}

void AttributeColumns::abandon_waiting() {
  waiting_.clear();
}

}  // namespace engram
