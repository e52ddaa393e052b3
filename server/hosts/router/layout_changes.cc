// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/layout_changes.h"

#include <algorithm>
#include <map>
#include <utility>

#include "server/hosts/router/slots.h"
#include "server/resp/command.h"

namespace engram::router {

Command on_meta_key(const std::string& index, std::initializer_list<std::string_view> argv) {
  return {.slot = slot_of(meta_key(index)), .bytes = encode_command(argv)};
}

void exchange_stored(RouterServices& services, const std::string& index, std::string_view before,
                     std::string_view after, std::function<void(const Answer&)> answered) {
  // A drop is what frees memory, so it may run where there is none.
  constexpr std::string_view kExchange =
      "#!lua flags=allow-oom\n"
      "if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return false end "
      "if ARGV[2] == '' then return redis.call('UNLINK', KEYS[1]) end "
      "return redis.call('SET', KEYS[1], ARGV[2])";
  const std::string key = meta_key(index);
  services.layouts.forget(index);
  services.cluster.send(on_meta_key(index, {"EVAL", kExchange, "1", key, before, after}),
                        [&services, index, answered = std::move(answered)](const Answer& answer) {
                          // Others may have asked for it meanwhile.
                          services.layouts.forget(index);
                          answered(answer);
                        });
}

void exchange_layout(RouterServices& services, const Layout& before, std::string_view after,
                     std::function<void(const Answer&)> answered) {
  const std::string held = before.stored.empty() ? before.text() : before.stored;
  exchange_stored(services, before.index, held, after, std::move(answered));
}

std::vector<Removal> removals_of(const Layout& layout, const std::vector<Placement>& placements) {
  const bool has_notes = layout.is_grown;
  std::map<std::size_t, std::vector<LayoutPtr>> by_count;
  for (const Placement& placement : placements) {
    by_count[placement.partitions].push_back(std::make_shared<const Layout>(layout.at(placement)));
  }
  std::vector<Removal> removals;
  for (const auto& [count, layouts] : by_count) {
    Removal removal = {.layout = layouts.front(), .commands = {}};
    for (std::size_t p = 0; p < count; ++p) {
      std::vector<std::string> words = {"UNLINK"};
      for (const LayoutPtr& each : layouts) {
        words.push_back(each->keys[p]);
        if (has_notes) words.push_back(notes_key(each->keys[p]));
      }
      removal.commands.push_back(
          encode_command(std::vector<std::string_view>(words.begin(), words.end())));
    }
    removals.push_back(std::move(removal));
  }
  return removals;
}

}  // namespace engram::router
