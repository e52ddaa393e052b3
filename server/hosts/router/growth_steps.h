// SPDX-License-Identifier: Apache-2.0
// The layouts that an index goes through while it grows.
//
//   ready     P partitions
//   opening   P, about to be found under the keys of `epoch`; each still has one of `from`'s, or it
//             already. Commands wait. Whoever goes by an older layout finds nothing from now on.
//   growing   P, in use. What is written is noted. Items are copied to `into`, if that is there.
//             A partition that a failover has given a former name again is renamed once more
//             when a router goes on.
//   closing   P, as in opening; the notes that are left are worked off
//   clearing  2P, in use: what was `into`. The former partitions, `away`, are removed.
//   ready     2P
//
// Growth that is given up goes from growing to clearing, with P partitions and the copies `away`.
// A router that goes on with what another has begun opens the index again and copies to keys of its
// own. So the other finds no key of what it still sends: neither items, nor notes, nor its copies,
// which are `away` then.
#pragma once

#include <cstdint>

#include "core/result.h"
#include "server/hosts/router/layout.h"

namespace engram::router {

/// Errors: a sentence, if the index cannot become one of so many partitions.
Status check_growth(const Layout& layout, std::size_t partitions);

/// Of a ready layout, or one that another router left growing or closing. now_us: of the clock, for
/// an epoch.
Layout opening_of(const Layout& layout, std::uint64_t now_us);
/// Of one that is opening, once all keys have their new names.
Layout growing_of(const Layout& layout);
/// Of one that is growing without copies: with an `into` of the router's own.
Layout aimed_of(const Layout& layout, std::uint64_t now_us);
/// Of one that is growing, whose items are copied but for the notes, and `away` removed.
Layout closing_of(const Layout& layout, std::uint64_t now_us);
/// Of one that is closing, once all is copied.
Layout clearing_of(const Layout& layout);
/// Of one that is growing and is not to: it stays as it is, and its copies go.
Layout given_up_of(const Layout& layout);
/// Of one that is clearing, once `away` is removed.
Layout ready_of(const Layout& layout);

}  // namespace engram::router
