// SPDX-License-Identifier: Apache-2.0
// The keys of one command. The server owns keys and their values; for as long as a command begins,
// or writes, the engine's keyspace has what they hold, under their names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/engine/collection.h"
#include "server/hosts/module/effects.h"
#include "server/hosts/module/host.h"
#include "server/hosts/module/redis_module.h"

namespace engram::host {

/// While it lives, the keys are lent. Threads: the main thread's only.
class LentKeys {
 public:
  LentKeys(Context* context, Host& host) : context_(context), host_(host) {}
  ~LentKeys();
  LentKeys(const LentKeys&) = delete;
  LentKeys& operator=(const LentKeys&) = delete;

  /// Lends what `name`, of which there are no two, holds. `writes`: it may be changed.
  void lend(String* name, bool writes);

  /// Calls visit(collection) for each.
  template <class Visit>
  void for_each_collection(Visit&& visit) {
    for (Lent& lent : keys_) {
      if (lent.collection != nullptr) visit(lent.collection);
    }
  }

  /// Takes the values back: gives keys the collections that the engine has made, and deletes those
  /// that it has dropped.
  void take_back();
  /// After that: has replicas and the AOF repeat what has changed; `event` is what it is called.
  void replicate(const std::vector<Effect>& effects, const char* event);

 private:
  enum class Fate : std::uint8_t { kKept, kMade, kDropped };
  struct Lent {
    String* name;
    std::string_view text;
    Key* key;  // null: it is only read, and not there
    std::shared_ptr<Collection> collection = nullptr;
    bool is_foreign = false;
    bool is_lent = true;
    Fate fate = Fate::kKept;
  };

  void take_back(Lent& lent);
  bool replicate(const Lent& lent, const std::vector<Effect>& effects);

  Context* const context_;
  Host& host_;
  std::vector<Lent> keys_;
};

}  // namespace engram::host
