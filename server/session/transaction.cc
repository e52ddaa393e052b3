// SPDX-License-Identifier: Apache-2.0
#include "server/session/transaction.h"

#include <utility>

#include "server/commands/errors.h"
#include "server/config/config.h"
#include "server/engine/persistence.h"
#include "server/session/command_session.h"

namespace engram {
namespace {

/// What a queued argument takes beside its bytes.
constexpr std::size_t kArgumentBytes = sizeof(std::string);

}  // namespace

Transaction::Transaction(CommandSession& session, Services& services)
    : session_(session), services_(services), watched_(services.store.keyspace()) {}

void Transaction::open() {
  open_ = true;
  session_.client().queued = 0;
}

void Transaction::discard() {
  open_ = aborted_ = writes_ = false;
  queued_.clear();
  queued_bytes_ = 0;
  session_.client().queued = -1;
  unwatch();
}

void Transaction::watch(std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) watched_.add(key);
}

bool Transaction::queue(const CommandTable::Resolution& resolution, Arguments argv) {
  for (const std::string_view word : argv) queued_bytes_ += word.size() + kArgumentBytes;
  if (queued_bytes_ > services_.config.client_query_buffer_limit) return false;
  queued_.push_back({resolution, {argv.begin(), argv.end()}});
  session_.client().queued = static_cast<std::int64_t>(queued_.size());
  writes_ = writes_ || resolution.spec->kind() == CommandKind::kWrite;
  return true;
}

void Transaction::execute(CommandContext& context) {
  const Status health = writes_ ? session_.write_health(CommandKind::kWrite) : Status();
  const bool was_aborted = aborted_;
  const bool has_changed = watched_.any_changed();
  std::vector<Step> steps = std::exchange(queued_, {});
  const std::size_t bytes = queued_bytes_;
  discard();
  Client& client = session_.client();
  if (!health) {
    return context.reply.error("EXECABORT Transaction discarded because of: " +
                               misconf_error(health.error()));
  }
  if (was_aborted) {
    return context.reply.error("EXECABORT Transaction discarded because of previous errors.");
  }
  if (has_changed) return context.reply.null_array();
  client.queued = static_cast<std::int64_t>(steps.size());
  run_.emplace(Run{.steps = std::move(steps),
                   .reply = context.defer(bytes),
                   .is_muted = client.reply_mode != ReplyMode::kOn});
  session_.runs_transaction_ = true;
  services_.store.begin_transaction();
  run_steps();
}

void Transaction::run_steps() {
  while (run_->next < run_->steps.size()) {
    run_step(run_->steps[run_->next]);
    if (run_->awaits_reply) return;
    ++run_->next;
  }
  finish();
}

void Transaction::run_step(const Step& step) {
  const std::vector<std::string_view> argv(step.words.begin(), step.words.end());
  Client& client = session_.client();
  std::string answer;
  ReplyWriter writer(answer, client.resp);
  client.command = step.command.spec;
  client.container = step.command.container;
  CommandContext context(argv, *step.command.spec, writer, client, *this, services_);
  ++services_.stats.commands;
  run_->in_step = true;
  step.command.spec->handler(context);
  run_->in_step = false;
  if (!answer.empty()) reply(answer);
}

void Transaction::reply(std::string_view bytes) {
  if (bytes.starts_with('-')) ++services_.stats.error_replies;
  const ReplyMode mode = session_.client().reply_mode;
  if (mode != ReplyMode::kOff && mode != ReplyMode::kSkip) run_->replies.append(bytes);
}

void Transaction::complete_step(std::string_view bytes) {
  reply(bytes);
  run_->awaits_reply = false;
  if (run_->in_step) return;  // answered within its own execution
  ++run_->next;
  run_steps();
}

/// The answer waits for the journal like that of any other write. Others go on only after that, so
/// that their frames come later.
void Transaction::finish() {
  Run run = std::move(*run_);
  run_.reset();
  session_.runs_transaction_ = false;
  session_.client().queued = -1;
  const Lsn lsn = services_.store.end_transaction();
  const Persistence* const persistence = services_.store.persistence();
  if (lsn != 0 && persistence->holds_answers()) run.reply.hold(lsn);
  services_.store.gate().open();
  if (!session_.executing_) session_.advance_reply_mode();
  std::string bytes;
  if (!run.is_muted) ReplyWriter(bytes, run.reply.version()).array(run.steps.size());
  bytes += run.replies;
  run.reply.reply_rendered(std::move(bytes));
}

}  // namespace engram
