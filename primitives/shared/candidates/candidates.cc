// SPDX-License-Identifier: Apache-2.0
#include "primitives/shared/candidates/candidates.h"

namespace engram::recall {

Items items_of(const MemoryView& memory, const SlotSet* among, Candidates candidates) {
  const SlotSet& items = among == nullptr ? memory.held : *among;
  const std::size_t count = items.size();
  return {
      .among = &items, .count = count, .graph = walks(candidates, count) ? memory.graph : nullptr};
}

Status check_candidates(const MemoryView& memory, Candidates candidates, bool is_masked) {
  if (candidates != Candidates::kGraph) return {};
  if (is_masked) {
    return fail(ErrorCode::kInvalidArgument,
                "CAND graph knows distances of whole vectors only, a MASK needs CAND scan or auto");
  }
  if (memory.graph == nullptr) {
    return fail(ErrorCode::kInvalidArgument,
                "CAND graph needs an index that keeps a graph, CAND must be scan or auto here");
  }
  return {};
}

}  // namespace engram::recall
