// SPDX-License-Identifier: Apache-2.0
// The keys of a collection, and the hash tables that they are made of.
#include "server/engine/key_map.h"

#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/support/seed.h"

namespace engram::key_map_test {
namespace {

/// Entries by slot, as a collection has them.
class Entries {
 public:
  Entries() = default;
  Entries(const Entries&) = delete;
  Entries& operator=(const Entries&) = delete;
  ~Entries() {
    for (std::size_t slot = 0; slot < count_; ++slot) SlotEntry::destroy(entries_[slot]);
  }

  const SlotEntry& add(std::string_view key) {
    REQUIRE(entries_.ensure(count_ + 1));
    entries_[count_] = SlotEntry::create(key, static_cast<Slot>(count_));
    return *entries_[count_++];
  }
  [[nodiscard]] const SlotEntries& all() const noexcept { return entries_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }

 private:
  SlotEntries entries_;
  std::size_t count_ = 0;
};

/// Of all lengths, one of them empty; many look like numbers.
std::string key_of(std::size_t number) {
  if (number == 0) return {};
  return number % 3 == 0 ? std::string(number % 50, 'k') + std::to_string(number)
                         : std::to_string(number);
}

TEST_CASE("engine/slot_entry: the key is what it was made of, bytes of any kind") {
  Entries entries;
  const std::string bytes("a\0b\xFF", 4);
  CHECK(entries.add(bytes).key() == bytes);
  CHECK(entries.add("").key().empty());
  CHECK(entries.add(std::string(100'000, 'x')).key().size() == 100'000);
  CHECK(entries.all()[2]->slot() == 2);
}

TEST_CASE("engine/key_map: agrees with a model under random changes") {
  auto rng = test::make_rng(1);
  Entries entries;
  KeyMap map(rng(), entries.all());
  std::unordered_map<std::string, const SlotEntry*> model;
  std::size_t key_bytes = 0;
  const std::size_t keys = 1 + rng() % 8000;  // beyond 1,024 one shard becomes several
  for (int step = 0; step < 30'000; ++step) {
    const std::string key = key_of(rng() % keys);
    const auto known = model.find(key);
    const SlotEntry* const former = known == model.end() ? nullptr : known->second;
    REQUIRE(map.find(key) == former);
    if (rng() % 8 < 5) {
      const SlotEntry& entry = entries.add(key);
      REQUIRE(map.replace(entry) == former);
      key_bytes += former == nullptr ? key.size() : 0;
      model[key] = &entry;
    } else if (former != nullptr) {
      map.remove(key);
      key_bytes -= key.size();
      model.erase(known);
      REQUIRE(map.find(key) == nullptr);
    }
    REQUIRE(map.size() == model.size());
    REQUIRE(map.mean_key_bytes() == (model.empty() ? 0 : key_bytes / model.size()));
  }
  for (const auto& [key, entry] : model) REQUIRE(map.find(key) == entry);
}

TEST_CASE("engine/key_map: filled at once it is what it is when filled one by one") {
  auto rng = test::make_rng(2);
  for (const std::size_t count : std::initializer_list<std::size_t>{0, 1, 1024, 1025, 20'000}) {
    Entries entries;
    KeyMap map(rng(), entries.all());
    std::unordered_map<std::string, Slot> model;
    std::vector<Slot> slots;
    std::size_t expected = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string key = key_of(rng() % (2 * count));
      slots.push_back(entries.add(key).slot());
      expected += model.insert_or_assign(key, slots.back()).second ? 0 : 1;
    }
    const std::vector<Slot> dropped = map.fill(slots);
    CHECK(dropped.size() == expected);
    CHECK(map.size() == model.size());
    for (const auto& [key, slot] : model) REQUIRE(map.find(key)->slot() == slot);
    for (const Slot slot : dropped) {
      REQUIRE(map.find(entries.all()[slot]->key()) != entries.all()[slot]);
    }
    CHECK(map.find("absent") == nullptr);
    map.replace(entries.add("later"));
    CHECK(map.find("later") != nullptr);
  }
}

TEST_CASE("engine/key_map: a key takes 9 to 12 bytes beside its entry") {
  auto rng = test::make_rng(3);
  Entries entries;
  KeyMap map(rng(), entries.all());
  std::size_t key_bytes = 0;
  for (std::size_t i = 0; i < 200'000; ++i) {
    const SlotEntry& entry = entries.add(std::to_string(i));
    key_bytes += entry.key().size();
    map.replace(entry);
  }
  const double bytes = static_cast<double>(map.memory_bytes() - key_bytes);
  CHECK(bytes / 200'000 > 8);
  CHECK(bytes / 200'000 < 12);
}

TEST_CASE("engine/key_map: an index of few keys has a table of few bytes") {
  Entries entries;
  KeyMap map(1, entries.all());
  for (std::size_t i = 0; i < 10; ++i) map.replace(entries.add(std::to_string(i)));
  CHECK(map.memory_bytes() < 200);
}

/// Numbers by tag, several of which may share one.
struct TagModel {
  std::unordered_map<Slot, std::uint32_t> tags;

  [[nodiscard]] auto is(Slot wanted) const {
    return [wanted](Slot slot) { return slot == wanted; };
  }
};

TEST_CASE("engine/slot_places: tags that are crowded or equal lose no slot") {
  auto rng = test::make_rng(4);
  constexpr std::uint32_t kLast = std::numeric_limits<std::uint32_t>::max();
  const auto crowded = [&](int kind) -> std::uint32_t {
    if (kind == 0) return 0;      // all of them equal
    if (kind == 1) return kLast;  // behind the last home
    if (kind == 2) return kLast - static_cast<std::uint32_t>(rng() % 1000);
    return static_cast<std::uint32_t>(rng() % 4) * 0x40000000U;  // four heaps
  };
  for (int kind = 0; kind < 4; ++kind) {
    SlotPlaces places;
    TagModel model;
    for (int step = 0; step < 3000; ++step) {
      const auto slot = static_cast<Slot>(rng() % 300);
      const auto known = model.tags.find(slot);
      if (known == model.tags.end()) {
        const std::uint32_t tag = crowded(kind);
        REQUIRE(places.find(tag, model.is(slot)) == kNoSlot);
        REQUIRE(places.replace(tag, slot, model.is(slot)) == kNoSlot);
        model.tags[slot] = tag;
      } else if (rng() % 2 == 0) {
        REQUIRE(places.replace(known->second, slot, model.is(slot)) == slot);
      } else {
        REQUIRE(places.take(known->second, model.is(slot)) == slot);
        REQUIRE(places.take(known->second, model.is(slot)) == kNoSlot);
        model.tags.erase(known);
      }
      REQUIRE(places.size() == model.tags.size());
    }
    for (const auto& [slot, tag] : model.tags) {
      REQUIRE(places.find(tag, model.is(slot)) == slot);
    }
    std::size_t visited = 0;
    places.for_each([&](Slot slot) { visited += model.tags.count(slot); });
    CHECK(visited == model.tags.size());
  }
}

}  // namespace
}  // namespace engram::key_map_test
