// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/module/call.h"

#include <utility>

#include "core/assert.h"
#include "server/commands/errors.h"

namespace engram::host {

void Call::start(Arguments argv) {
  const bool has_started = session_.start(argv);
  ENGRAM_ASSERT(has_started);  // there is nothing before it
  has_started_ = true;
}

std::string Call::refusal(const Error& error) {
  std::string refused;
  ReplyWriter(refused, session_.client().resp).error(misconf_error(error));
  return refused;
}

void Call::progressed() {
  if (blocked_ == nullptr || !has_ended()) return;
  api.UnblockClient(std::exchange(blocked_, nullptr), this);
}

}  // namespace engram::host
