// SPDX-License-Identifier: Apache-2.0
// What systemd is told by a service of Type=notify, as sd_notify(3) describes it.
#pragma once

#include <string_view>

namespace engram {

/// Sends `state`, as "READY=1", to the socket that $NOTIFY_SOCKET names; does nothing without one.
/// A manager that cannot be told is logged, because it ends who stays silent. Does not block.
/// Threads: any, while none changes the environment.
void tell_service_manager(std::string_view state);

}  // namespace engram
