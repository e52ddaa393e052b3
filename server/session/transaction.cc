// SPDX-License-Identifier: Apache-2.0
#include "server/session/transaction.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/commands/errors.h"
#include "server/config/config.h"
#include "server/engine/persistence.h"
#include "server/requests/keys.h"
#include "server/session/command_session.h"

namespace engram {
namespace {

/// What a queued argument takes beside its bytes.
constexpr std::size_t kArgumentBytes = sizeof(std::string);
/// Steps that are answered at once run in one go up to here, and go on in the next turn of the
/// loop: a queue may hold millions.
constexpr int kStepsPerTurn = 10'000;

}  // namespace

Transaction::Transaction(CommandSession& session, Services& services)
    : session_(session), services_(services), watched_(services.store.keyspace()) {}

void Transaction::open() {
  open_ = true;
  session_.client().queued = 0;
}

void Transaction::discard() {
  open_ = aborted_ = writes_ = takes_memory_ = false;
  queued_.clear();
  queued_bytes_ = 0;
  session_.client().queued = -1;
  unwatch();
}

void Transaction::watch(std::span<const std::string_view> keys) {
  for (const std::string_view key : keys) watched_.add(key);
}

bool Transaction::queue(const CommandTable::Resolution& resolution, Arguments argv) {
  queued_bytes_ += sizeof(Step);
  for (const std::string_view word : argv) queued_bytes_ += word.size() + kArgumentBytes;
  if (queued_bytes_ > services_.config.client_query_buffer_limit) return false;
  queued_.push_back({resolution, {argv.begin(), argv.end()}});
  session_.client().queued = static_cast<std::int64_t>(queued_.size());
  writes_ = writes_ || changes_something(resolution.spec->kind());
  takes_memory_ = takes_memory_ || (resolution.spec->flags & command_flag::kDenyOom) != 0;
  return true;
}

void Transaction::execute(CommandContext& context) {
  Client& client = session_.client();
  open_ = false;
  const std::size_t bytes = std::exchange(queued_bytes_, 0);
  run_.emplace(Run{.steps = std::exchange(queued_, {}),
                   .writes = std::exchange(writes_, false),
                   .takes_memory = std::exchange(takes_memory_, false),
                   .was_aborted = std::exchange(aborted_, false),
                   .bytes = bytes,
                   .reply = context.defer(bytes),
                   .is_muted = client.reply_mode != ReplyMode::kOn});
  run_->writes = run_->writes || some_step_writes();
  session_.runs_transaction_ = true;
  TransactionGate& gate = services_.store.gate();
  gate.close();
  if (!concerns_collections()) return begin();
  gate.when_empty([this] {
    // Later, unless that is now: outside of the completion of the last write.
    session_.executing_ ? begin() : services_.store.run_soon([this] { begin(); });
  });
}

/// One that was queued as a read may have come to write since: what it reads is another index now.
bool Transaction::some_step_writes() const {
  return std::any_of(run_->steps.begin(), run_->steps.end(), [this](const Step& step) {
    if (step.command.spec->kind() != CommandKind::kRead) return false;
    if (step.command.spec->other_form == nullptr) return false;
    const std::vector<std::string_view> argv(step.words.begin(), step.words.end());
    return changes_something(step.command.spec->in_effect(argv, services_.store).kind());
  });
}

/// A write to a collection may be under way for long; strings are changed at once.
bool Transaction::concerns_collections() const {
  return watched_.any_collection() ||
         std::any_of(run_->steps.begin(), run_->steps.end(),
                     [](const Step& step) { return step.command.spec->group == "vector"; });
}

/// Looks at what was watched now: a write that was under way has changed it by its end.
void Transaction::begin() {
  std::string refused = obstacle();
  unwatch();
  if (!refused.empty()) return end(run_->is_muted ? std::string() : std::move(refused), 0);
  services_.store.begin_transaction();
  run_steps();
}

/// The reply of a transaction that is not carried out; empty if nothing is in its way.
std::string Transaction::obstacle() {
  std::string reply;
  ReplyWriter writer(reply, run_->reply.version());
  const Status health = run_->writes ? session_.write_health(CommandKind::kWrite) : Status();
  if (!health) {
    writer.error("EXECABORT Transaction discarded because of: " + misconf_error(health.error()));
  } else if (run_->takes_memory && session_.is_out_of_memory({})) {
    writer.error("EXECABORT Transaction discarded because of: " + std::string(kOomError));
  } else if (run_->was_aborted) {
    writer.error("EXECABORT Transaction discarded because of previous errors.");
  } else if (watched_.any_changed()) {
    writer.null_array();
  }
  return reply;
}

void Transaction::run_steps() {
  for (int left = kStepsPerTurn; run_->next < run_->steps.size(); --left) {
    if (left == 0) return services_.store.run_soon([this] { run_steps(); });
    run_step(run_->steps[run_->next]);
    if (run_->awaits_reply) return;
    ++run_->next;
  }
  finish();
}

/// All steps share one frame of the journal, and some record more than they say.
Status Transaction::check_room_for(const Step& step) const {
  if (!changes_something(step.command.spec->kind())) return {};
  std::size_t bytes = 0;
  for (const std::string& word : step.words) bytes += word.size() + kArgumentBytes;
  return check_room(services_.store.keyspace(), bytes);
}

void Transaction::run_step(const Step& step) {
  const std::vector<std::string_view> argv(step.words.begin(), step.words.end());
  Client& client = session_.client();
  std::string answer;
  ReplyWriter writer(answer, client.resp);
  client.command = step.command.spec;
  client.container = step.command.container;
  services_.store.keyspace().set_touching(!client.no_touch);
  CommandContext context(argv, *step.command.spec, writer, client, *this, services_);
  ++services_.stats.commands;
  if (const Status room = check_room_for(step); !room) {
    write_error(writer, room.error());
    services_.stats.calls.count_rejection(step.command.number);
    session_.calls_.skip();
  } else {
    session_.calls_.begin(step.command, argv);
    run_->in_step = true;
    step.command.spec->handler(context);
    run_->in_step = false;
    session_.calls_.end(answer.starts_with('-'));
    if (!session_.sessions_.monitors().empty()) session_.show(*step.command.spec, argv);
  }
  if (!answer.empty()) reply(answer);
}

void Transaction::reply(std::string_view bytes) {
  if (bytes.starts_with('-')) services_.stats.count_error(bytes);
  const ReplyMode mode = session_.client().reply_mode;
  if (mode == ReplyMode::kOff || mode == ReplyMode::kSkip || run_->is_too_long) return;
  if (run_->replies.size() + bytes.size() <= services_.config.client_query_buffer_limit) {
    run_->replies.append(bytes);
    return;
  }
  // Steps are never left out, so only their replies can be.
  run_->is_too_long = true;
  std::string().swap(run_->replies);  // assignment would keep the memory
}

/// The next step begins when what completed this one has come to its end, so that it finds the
/// collection as a client would who has read the reply.
void Transaction::complete_step(std::string_view bytes) {
  reply(bytes);
  run_->awaits_reply = false;
  if (run_->in_step) return;  // answered within its own execution
  ++run_->next;
  services_.store.run_soon([this] { run_steps(); });
}

void Transaction::finish() {
  std::string bytes;
  ReplyWriter writer(bytes, run_->reply.version());
  if (run_->is_too_long) {
    if (!run_->is_muted)
      writer.error(
          "ERR the transaction was carried out, but its replies exceed "
          "client-query-buffer-limit");
  } else {
    if (!run_->is_muted) writer.array(run_->steps.size());
    bytes += std::exchange(run_->replies, {});
  }
  end(std::move(bytes), services_.store.end_transaction());
}

/// The answer waits for the journal like that of any other write. Others go on only after that, so
/// that their frames come later.
void Transaction::end(std::string reply, Lsn lsn) {
  Run run = std::move(*run_);
  run_.reset();
  session_.runs_transaction_ = false;
  session_.client().queued = -1;
  const Persistence* const persistence = services_.store.persistence();
  if (lsn != 0 && persistence->holds_answers()) run.reply.hold(lsn, run.bytes);
  services_.store.gate().open();
  if (!session_.executing_) session_.advance_reply_mode();
  run.reply.reply_rendered(std::move(reply));
}

}  // namespace engram
