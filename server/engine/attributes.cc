// SPDX-License-Identifier: Apache-2.0
#include "server/engine/attributes.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/assert.h"
#include "server/json/json.h"

namespace engram {
Status check_attributes(std::string_view text) {
  thread_local JsonReader reader({.bytes = kMostAttributeBytes, .depth = kMostAttributeDepth});
  constexpr std::string_view kRule = "attributes must be a JSON object; what was given ";
  const auto value = reader.read(text);
  if (!value) return fail(value.error().code, std::string(kRule) + value.error().message);
  if (value->kind() == JsonKind::kObject) return {};
  return fail(ErrorCode::kInvalidArgument,
              std::string(kRule) + "is " + std::string(name_of(value->kind())));
}

Attributes::~Attributes() {
  for (std::size_t slot = 0; slot < texts_.ready(); ++slot) {
    Text* const text = texts_[slot].load(std::memory_order_relaxed);
    if (text != nullptr && --text->holders == 0) ::operator delete(text);
  }
}

Status Attributes::ensure(Slot end) {
  if (are_allowed()) ENGRAM_TRY(texts_.ensure(end));
  end_ = std::max(end_, end);
  return {};
}

Status Attributes::allow() {
  if (are_allowed()) return {};
  ENGRAM_TRY(texts_.ensure(end_));
  are_allowed_.store(true, std::memory_order_release);
  return {};
}

std::string_view Attributes::text(Slot slot) const noexcept {
  const Text* const text = at(slot);
  return text == nullptr ? std::string_view() : text->view();
}

Attributes::Text* Attributes::make(std::string_view text) {
  if (text.empty()) return nullptr;
  void* const memory = ::operator new(sizeof(Text) + text.size());
  std::memcpy(static_cast<std::byte*>(memory) + sizeof(Text), text.data(), text.size());
  return new (memory) Text{0, static_cast<std::uint32_t>(text.size())};
}

void Attributes::give(Slot slot, std::string_view text) {
  ENGRAM_ASSERT(are_allowed());
  replace(slot, make(text));
}

void Attributes::share(Slot slot, Slot from) {
  if (are_allowed()) replace(slot, at(from));
}

void Attributes::change(Slot slot, std::string_view text) {
  ENGRAM_ASSERT(are_allowed());
  replace_of_key(slot, make(text));
}

void Attributes::take_over(Slot slot, Slot from) {
  if (are_allowed()) replace_of_key(slot, at(from));
}

void Attributes::replace_of_key(Slot slot, Text* text) {
  if (at(slot) != nullptr) --count_;
  if (text != nullptr) ++count_;
  replace(slot, text);
}

void Attributes::replace(Slot slot, Text* text) {
  if (text != nullptr && text->holders++ == 0) text_bytes_ += sizeof(Text) + text->size;
  Text* const former = texts_[slot].exchange(text, std::memory_order_acq_rel);
  if (former != text) observer_(slot, text == nullptr ? std::string_view() : text->view());
  if (former != nullptr) let_go(former);
}

void Attributes::let_go(Text* text) {
  if (--text->holders > 0) return;
  // Owned by the action, which a collection that goes may never call.
  struct Free {
    void operator()(Text* text) const noexcept { ::operator delete(text); }
  };
  after_readers_([this, bytes = sizeof(Text) + text->size,
                  owned = std::shared_ptr<Text>(text, Free())] { text_bytes_ -= bytes; });
}

void Attributes::enter(Slot slot) {
  if (at(slot) != nullptr) ++count_;
  if (!origins_.empty()) origins_.erase(slot);
}

/// Before the slot is free again: what frees it waits for the same readers, and was asked later.
void Attributes::leave(Slot slot) {
  if (at(slot) == nullptr) return;
  --count_;
  after_readers_([this, slot] { replace(slot, nullptr); });
}

void Attributes::discard(Slot slot) {
  if (!origins_.empty()) origins_.erase(slot);
  if (at(slot) != nullptr) replace(slot, nullptr);
}

std::size_t Attributes::memory_bytes() const noexcept {
  return texts_.ready_bytes() + text_bytes_;
}

}  // namespace engram
