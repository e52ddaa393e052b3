// SPDX-License-Identifier: Apache-2.0
#include "server/engine/item_visits.h"

#include <memory>
#include <utility>

namespace engram {

struct ItemVisits::Visit {
  Step step;
  std::function<void()> done;
  std::shared_ptr<const SlotSet> items;
  GracePeriod::Ticket pin;
  bool has_more = true;
};

Status ItemVisits::start(Step step, std::function<void()> done) {
  auto items = slots_.current_items();
  if (!items) return tl::unexpected(std::move(items.error()));
  take_step(std::make_shared<Visit>(
      Visit{std::move(step), std::move(done), std::move(*items), slots_.pin_rows()}));
  return {};
}

void ItemVisits::take_step(const std::shared_ptr<Visit>& visit) {
  operations_.read(
      Lane::kBulk,
      [this, visit](Scratch& scratch) {
        visit->has_more = visit->step(view_, *visit->items, scratch);
      },
      [this, visit] {
        if (visit->has_more) return take_step(visit);
        slots_.unpin_rows(visit->pin);
        visit->done();
      });
}

}  // namespace engram
