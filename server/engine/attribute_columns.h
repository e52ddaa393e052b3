// SPDX-License-Identifier: Apache-2.0
// The fields of attributes that filters name, as columns by slot. The rule: at every slot a column
// says what the attributes say, whatever is written. It is built when a filter first names its
// field, on a worker, in steps between which others have their turn; writes leave the slots that
// they change, which are looked at again: on workers for some rounds, and at last in turns of the
// loop, from whose first on every write stores its cells.
//
// A column is one writer's at a time: a step's while it runs, else the loop's. Columns that are not
// asked for go when there are many, and when nobody has them any more: until then the rule holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/slot.h"
#include "server/engine/attributes.h"
#include "server/engine/operations.h"
#include "server/filters/column.h"

namespace engram {

/// Threads: the event loop's only.
class AttributeColumns {
 public:
  using Columns = std::vector<std::shared_ptr<const Column>>;

  struct Request {
    std::vector<std::string> fields;  ///< within objects: `meta.year`
    /// Is called with the columns of `fields`, in that order, as all writes recorded by then have
    /// left them: at once, or later on the loop. Errors: kResourceExhausted.
    std::function<void(Result<Columns>)> ready;
    /// Beyond that, columns that others asked for go.
    std::size_t most_bytes = kMostBytes;
    /// Whether there is no memory for columns that are not there; null: there is.
    const std::function<bool()>* memory_is_full = nullptr;
  };

  static constexpr std::size_t kMostBytes = std::size_t{256} << 20;
  static constexpr std::size_t kMostColumns = 64;  // for a write stores a cell in each

  /// Is told of each column that goes, so that nobody holds it without need.
  using Observer = std::function<void(const Column&)>;

  /// Both outlive this.
  AttributeColumns(const Attributes& attributes, Operations& operations, Observer observer)
      : attributes_(attributes), operations_(operations), observer_(std::move(observer)) {}

  void ask(Request request);

  /// The attributes of `slot` are `text` now.
  void note(Slot slot, std::string_view text);

  [[nodiscard]] std::size_t count() const noexcept { return kept_.size(); }
  /// Of those that are kept, are being built, or are to go.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

  /// Forgets who waits; for shutdown.
  void abandon_waiting();

 private:
  struct Kept {
    std::shared_ptr<Column> column;
    std::size_t built_bytes;  // of its dictionaries
    std::uint64_t last_asked;
  };
  struct Build;

  [[nodiscard]] Kept* find(std::string_view field) noexcept;
  [[nodiscard]] bool has_all(std::span<const std::string> fields) noexcept;
  Columns columns_of(const Request& request, std::uint64_t asked);
  void start_build();
  void step();
  void end_step(const Status& status);
  void finish_build();
  void end_build(const Status& status);
  void make_room(std::uint64_t asked_since, std::size_t most_bytes);
  void drop(std::size_t index);
  void let_go();
  void list_written();

  const Attributes& attributes_;
  Operations& operations_;
  const Observer observer_;
  AttributeReader reader_;  // of the loop
  std::vector<Kept> kept_;
  std::vector<std::shared_ptr<Column>> dropped_;  // that somebody has
  std::vector<Column*> written_;                  // both
  std::uint64_t asked_ = 0;
  std::vector<Request> waiting_;
  std::shared_ptr<Build> build_;  // null: none is under way
};

}  // namespace engram
