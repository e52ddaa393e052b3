// SPDX-License-Identifier: Apache-2.0
// How the operating system should treat the calling thread.
#pragma once

#include <string>

namespace engram {

/// The name that top and debuggers show; cut at 15 bytes.
void name_this_thread(const std::string& name);

/// Makes the calling thread the one that runs first when it wakes: it asks for short time slices,
/// which under EEVDF gives a waking thread the earliest deadline.
void prefer_latency();

/// Makes the calling thread step aside whenever the event loop wakes. Searches saturate every core;
/// without this a PING would wait for the end of a search's time slice.
void yield_to_event_loop();

/// Makes the calling thread one that nobody waits for: it yields to the workers as well.
void prefer_background();

}  // namespace engram
