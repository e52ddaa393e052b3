// SPDX-License-Identifier: Apache-2.0
// How the layout of an index becomes another: by compare-and-set, because other routers change
// layouts, too.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hosts/router/call.h"
#include "server/hosts/router/layout.h"

namespace engram::router {

/// A command on the meta key of an index.
Command on_meta_key(const std::string& index, std::initializer_list<std::string_view> argv);

/// Replaces the stored layout `before` by `after`, unless it is `before` no longer: that is
/// answered by null. Either may be empty: none. Other routers change layouts too, and what they
/// have made meanwhile is left alone.
void exchange_stored(RouterServices& services, const std::string& index, std::string_view before,
                     std::string_view after, std::function<void(const Answer&)> answered);

/// The same, where `before` is what was read or written last.
void exchange_layout(RouterServices& services, const Layout& before, std::string_view after,
                     std::function<void(const Answer&)> answered);

/// What removes all that partitions of an index have, by partition of a layout of that many. What
/// lies in one slot goes at once: a key that is just being renamed has one of its names.
struct Removal {
  LayoutPtr layout;
  std::vector<std::string> commands;
};
std::vector<Removal> removals_of(const Layout& layout, const std::vector<Placement>& placements);

}  // namespace engram::router
