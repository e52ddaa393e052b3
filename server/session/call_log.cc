// SPDX-License-Identifier: Apache-2.0
#include "server/session/call_log.h"

#include <algorithm>
#include <utility>

#include "core/assert.h"
#include "server/commands/secrets.h"
#include "server/runtime/process.h"

namespace engram {

void CallLog::begin_alone(const CommandTable::Resolution& command, Arguments argv) {
  if (shared_ != 0) end_shared();
  run_of_ = kNoRun;
  now_ = {.spec = command.spec,
          .number = command.number,
          .begun = lap_ != 0 ? lap_ : ticks_now(),
          .argv = argv};
  is_deferred_ = false;
}

void CallLog::end_alone(bool has_failed) {
  if (is_deferred_) return skip();
  constexpr std::int64_t kLeastUs = 1000;  // or each command is to be looked at
  const ServerConfig& config = services_.config;
  const std::uint64_t ended = ticks_now();
  const std::uint64_t ns = ns_between(now_.begun, ended);
  services_.stats.calls.count_call(now_.number, ns, has_failed, config.latency_tracking);
  if (is_slow(ns)) log(ns, *now_.spec, keep_arguments(*now_.spec, now_.argv));
  if (lap_ == 0) return;
  lap_ = ended;
  const bool logs_brief_ones =
      config.slowlog_log_slower_than >= 0 && config.slowlog_log_slower_than < kLeastUs;
  const bool is_brief = (now_.spec->flags & command_flag::kBrief) != 0;
  run_of_ = is_brief && !logs_brief_ones ? now_.number : kNoRun;
}

/// Slower ones among them cannot be told apart.
void CallLog::end_shared() {
  const std::uint64_t ended = ticks_now();
  services_.stats.calls.count_calls(run_of_, ns_between(lap_, ended), shared_,
                                    services_.config.latency_tracking);
  lap_ = ended;
  shared_ = 0;
}

KeptArguments CallLog::keep_arguments(const CommandSpec& spec, Arguments argv) {
  return {argv, [secrets = secrets_of(spec, argv)](std::size_t i) { return secrets.contains(i); }};
}

void CallLog::log(std::uint64_t ns, const CommandSpec& spec, KeptArguments arguments) {
  constexpr std::int64_t kMsPerSecond = 1000;
  if ((spec.flags & command_flag::kSkipSlowlog) != 0) return;
  services_.stats.slow_log.add({.unix_s = unix_time_ms() / kMsPerSecond,
                                .us = ns / 1000,
                                .arguments = std::move(arguments),
                                .address = client_.address,
                                .name = client_.name},
                               services_.config.slowlog_max_len);
}

/// The arguments are gone when it is known whether it was slow.
void CallLog::defer(std::uint64_t sequence) {
  ENGRAM_ASSERT(!is_sharing_);  // what is brief answers at once
  is_deferred_ = true;
  const bool may_be_logged = services_.config.slowlog_log_slower_than >= 0 &&
                             (now_.spec->flags & command_flag::kSkipSlowlog) == 0;
  deferred_.push_back(
      {.sequence = sequence,
       .spec = now_.spec,
       .number = now_.number,
       .begun = now_.begun,
       .arguments = may_be_logged ? keep_arguments(*now_.spec, now_.argv) : KeptArguments()});
}

void CallLog::complete(std::uint64_t sequence, bool has_failed) {
  const auto after = std::upper_bound(
      deferred_.begin() + static_cast<std::ptrdiff_t>(answered_), deferred_.end(), sequence,
      [](std::uint64_t wanted, const Deferral& call) { return wanted < call.sequence; });
  if (after == deferred_.begin()) return;
  const auto found = after - 1;
  if (found->sequence != sequence || found->spec == nullptr) return;
  const std::uint64_t ns = ns_between(found->begun, ticks_now());
  services_.stats.calls.count_call(found->number, ns, has_failed,
                                   services_.config.latency_tracking);
  if (is_slow(ns)) log(ns, *found->spec, std::move(found->arguments));
  found->spec = nullptr;
  found->arguments = {};
  // A step of a transaction, whose place the next step has again, is always the last.
  while (!deferred_.empty() && deferred_.back().spec == nullptr) deferred_.pop_back();
  answered_ = std::min(answered_, deferred_.size());
  while (answered_ < deferred_.size() && deferred_[answered_].spec == nullptr) ++answered_;
  if (answered_ * 2 < deferred_.size()) return;
  deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(answered_));
  answered_ = 0;
}

}  // namespace engram
