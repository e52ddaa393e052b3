// SPDX-License-Identifier: Apache-2.0
// What a router knows of how indexes lie. The cluster itself says so: under a key of each index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/cluster.h"
#include "server/hosts/router/layout.h"
#include "server/hosts/router/timers.h"
#include "server/resp/reply.h"

namespace engram::router {

/// Layouts, remembered for a second. Where the node that has one does not answer, what is
/// remembered holds for longer. Threads: the event loop's only.
class Layouts {
 public:
  using Callback = std::function<void(Result<LayoutPtr>)>;

  /// `cluster` and `timers` live longer.
  Layouts(Cluster& cluster, Timers& timers) : cluster_(cluster), timers_(timers) {}

  /// Calls back at once, or when the cluster has answered; `fresh` asks it in any case. Errors:
  /// kNotFound, kInvalidArgument for a name with braces, kUnavailable if the node is missing.
  void find(const std::string& index, bool fresh, Callback callback);
  /// As find() with `fresh`, but what is remembered does not count. Errors: kUnavailable, too, if
  /// the node is missing.
  void confirm(const std::string& index, Callback callback);
  /// As find() with `fresh`, some milliseconds later; for all that wait for the same index at once.
  void find_later(const std::string& index, Callback callback);
  /// Another layout is there, or is about to be.
  void forget(const std::string& index) { known_.erase(index); }
  /// Whether find() calls back at once, with what a master has said.
  [[nodiscard]] bool remembers_of_master(const std::string& index) const;
  [[nodiscard]] std::size_t size() const noexcept { return known_.size(); }

 private:
  struct Known {
    LayoutPtr layout;
    std::int64_t until_ms;
    bool may_be_stale;  // a replica may have told it
  };

  /// What find() goes by if it asks nobody.
  [[nodiscard]] const Known* remembered(const std::string& index) const;
  void take(const std::string& index, const Answer& answer, bool may_be_stale,
            const Callback& callback);
  void learn(const std::string& index, const Reply& reply, bool may_be_stale,
             const Callback& callback);

  Cluster& cluster_;
  Timers& timers_;
  std::map<std::string, std::vector<Callback>> waiting_;
  std::map<std::string, Known, std::less<>> known_;
};

}  // namespace engram::router
