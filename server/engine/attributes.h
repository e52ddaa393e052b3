// SPDX-License-Identifier: Apache-2.0
// What is known of the items of a collection beside their vectors: a JSON object for each key that
// was given one, as text. The rule: attributes lie by slot, at that of their key, or the one that a
// put of the key, which was recorded already, is about to make that. A text never changes; one that
// is replaced stays until every job that may be reading it has ended.
//
// A collection in which no key has attributes takes no memory for them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include <tsl/robin_map.h>

#include "core/growing_array.h"
#include "core/result.h"
#include "core/slot.h"

namespace engram {

inline constexpr std::size_t kMostAttributeBytes = 65'536;
inline constexpr std::size_t kMostAttributeDepth = 32;

/// Errors: kInvalidArgument unless `text` is a JSON object within these bounds.
Status check_attributes(std::string_view text);

/// What a put gives its key: a JSON object, or an empty text for none; nothing: the key keeps what
/// it has.
using GivenAttributes = std::optional<std::string_view>;

/// Threads: the event loop's only, except text().
class Attributes {
 public:
  /// Calls its argument when all who may be reading a text, or a slot, now have ended.
  using AfterReaders = std::function<void(std::function<void()>)>;

  /// Is told of every slot whose text changes.
  using Observer = std::function<void(Slot, std::string_view)>;

  Attributes(AfterReaders after_readers, Observer observer)
      : after_readers_(std::move(after_readers)), observer_(std::move(observer)) {}
  ~Attributes();
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;

  /// Makes room for slots below `end`. Errors: kResourceExhausted.
  Status ensure(Slot end);
  /// To be called before the first text is given. Errors: kResourceExhausted.
  Status allow();
  /// Whether allow() was called: before that there are none.
  [[nodiscard]] bool are_allowed() const noexcept {
    return are_allowed_.load(std::memory_order_acquire);
  }

  /// No slot from there on has any.
  [[nodiscard]] Slot end() const noexcept { return are_allowed() ? end_ : 0; }

  /// The text of a slot with room; empty if it has none. Any thread: it stays until the job that
  /// asked has ended.
  [[nodiscard]] std::string_view text(Slot slot) const noexcept;

  // Of a slot with room. An empty text: none.

  /// Of one that is not yet the place of its key.
  void give(Slot slot, std::string_view text);
  /// The same with the text that `from` has; kNoSlot: none.
  void share(Slot slot, Slot from);
  /// It has become the place of its key.
  void enter(Slot slot);
  /// Of the place of its key.
  void change(Slot slot, std::string_view text);
  /// The same with the text that `from` has.
  void take_over(Slot slot, Slot from);
  /// It was the place of its key. Who still meets it finds what it had.
  void leave(Slot slot);
  /// It was to be the place of its key, and nobody has met it.
  void discard(Slot slot);

  // Of a slot that a put is to make the place of its key: where its text is from, so that it can be
  // put right when an earlier write to the key has failed.
  enum class Origin : std::uint8_t {
    kGiven,  ///< by the put
    kKept,   ///< the key had it when the put was recorded
    kSince,  ///< the key got it from another write, after that; it outlasts a failure of the put
  };
  void set_origin(Slot slot, Origin origin) { origins_[slot] = origin; }
  [[nodiscard]] Origin origin(Slot slot) const {
    const auto found = origins_.empty() ? origins_.end() : origins_.find(slot);
    return found == origins_.end() ? Origin::kGiven : found->second;
  }
  /// Whether both have the very same text; kNoSlot has none.
  [[nodiscard]] bool are_shared(Slot a, Slot b) const noexcept { return at(a) == at(b); }

  /// How many keys have some.
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t memory_bytes() const noexcept;

 private:
  /// Followed by its bytes.
  struct Text {
    std::uint32_t holders;  // slots
    std::uint32_t size;

    [[nodiscard]] std::string_view view() const noexcept {
      return {reinterpret_cast<const char*>(this + 1), size};
    }
  };

  [[nodiscard]] Text* at(Slot slot) const noexcept {
    if (slot == kNoSlot || !are_allowed()) return nullptr;
    return texts_[slot].load(std::memory_order_acquire);
  }
  static Text* make(std::string_view text);
  void replace(Slot slot, Text* text);
  void replace_of_key(Slot slot, Text* text);
  void let_go(Text* text);

  const AfterReaders after_readers_;
  const Observer observer_;
  std::atomic<bool> are_allowed_{false};
  Slot end_ = 0;                            // there is room below, if they are allowed
  GrowingArray<std::atomic<Text*>> texts_;  // by slot; null: none
  std::size_t count_ = 0;
  std::size_t text_bytes_ = 0;
  tsl::robin_map<Slot, Origin> origins_;
};

}  // namespace engram
