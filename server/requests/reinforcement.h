// SPDX-License-Identifier: Apache-2.0
// What a recall does to the strengths of what it recalls: core/decay.h says by which rules.
#pragma once

#include <string>
#include <vector>

#include "core/recall.h"
#include "server/engine/read_view.h"
#include "server/requests/index_ref.h"
#include "server/requests/strength.h"

namespace engram {

/// What becomes of one item.
struct Reinforcement {
  std::string key;
  double gain = 0;    ///< by which it is touched; 0: it is not
  double factor = 1;  ///< by which its strength is multiplied; 1: it is not
};

/// Whether a recall of the index of that name is a write: by its own rule.
bool reinforces(Store& store, std::string_view name);

/// The rule that `read` has a recall follow: that of the index, or to touch the winner where that
/// has none and `read` asks to touch.
Reinforce reinforce_rule(const IndexRef& index, const StrengthRead& read);

/// How many items of the support that rule looks at, at least.
std::size_t reinforced_support(Reinforce rule);

/// What a recall that was answered with `recall`, at most `top` of its support, is to do. `gain`:
/// that of the winner. On a worker.
std::vector<Reinforcement> reinforcements(Reinforce rule, double gain, const ReadView& view,
                                          const Recall& recall, std::size_t top);

/// Does it. Errors: those of check_room(), and nothing was done.
Status reinforce(Store& store, const IndexRef& index, const StrengthRead& read,
                 const std::vector<Reinforcement>& items);

}  // namespace engram
