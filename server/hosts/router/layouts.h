// SPDX-License-Identifier: Apache-2.0
// How indexes lie on the cluster. The cluster itself says so: under a key of each index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/hosts/router/cluster.h"

namespace engram::router {

struct Layout {
  enum class State : std::uint8_t { kMaking, kReady, kDropping };

  std::string index;
  std::size_t dim = 0;
  std::string metric = "cosine";
  std::string primitive = "hnsw";
  std::size_t partitions = 0;
  std::uint64_t epoch = 0;  ///< of this layout: no other that the name had has the same
  State state = State::kReady;
  // What its recalls do unless they say otherwise, if VNEW has said so.
  std::optional<std::size_t> steps = {};
  std::optional<double> tolerance = {};
  bool is_clamped = false;  ///< MODE clamp
  std::string stored = {};  ///< what the meta key holds, if that was read
  // What follows from that, for each partition.
  std::vector<std::string> keys = {};
  std::vector<std::uint16_t> slots = {};

  /// Fills in keys and slots.
  void place();
  /// As the meta key holds it: names and values in turn, separated by spaces.
  [[nodiscard]] std::string text() const { return text_in(state); }
  /// The same in another state.
  [[nodiscard]] std::string text_in(State other) const;
  /// Errors: kDataLoss.
  static Result<Layout> parse(std::string_view index, std::string_view text);
};
using LayoutPtr = std::shared_ptr<const Layout>;

/// Layouts, remembered for a second. Where the node that has one does not answer, what is
/// remembered holds for longer. Threads: the event loop's only.
class Layouts {
 public:
  using Callback = std::function<void(Result<LayoutPtr>)>;

  /// `cluster` lives longer.
  explicit Layouts(Cluster& cluster) : cluster_(cluster) {}

  /// Calls back at once, or when the cluster has answered; `fresh` asks it in any case. Errors:
  /// kNotFound, kInvalidArgument for a name with braces, kUnavailable if the node is missing.
  void find(const std::string& index, bool fresh, Callback callback);
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

  Cluster& cluster_;
  std::map<std::string, Known, std::less<>> known_;
};

/// Errors: kInvalidArgument for a name that would choose its own slot.
Status check_index_name(std::string_view index);

/// Errors: kAlreadyExists for an index that is being made or dropped.
Status check_ready(const Layout& layout);

Error no_such_index(std::string_view index);

}  // namespace engram::router
