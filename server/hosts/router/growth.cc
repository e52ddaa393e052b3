// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/growth.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/growth_commands.h"
#include "server/hosts/router/growth_steps.h"
#include "server/hosts/router/layout_changes.h"
#include "server/hosts/router/new_index.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"
#include "server/requests/shown.h"
#include "server/resp/command.h"
#include "server/resp/integer.h"

namespace engram::router {
namespace {

constexpr std::int64_t kHoldMs = 5000;      // nobody goes on for so long after a router has ended
constexpr std::int64_t kHoldAgainMs = 500;  // what it holds it says again
constexpr std::int64_t kSettleAgainMs = 1000;
constexpr std::size_t kNamesOfPage = 4096;  // each page looks at all names of a partition
constexpr std::size_t kMostOfBatch = 64;    // items: a node does nothing else meanwhile
constexpr std::size_t kBytesOfBatch = std::size_t{512} << 10;  // of vectors
constexpr std::size_t kMostRounds = 100;
constexpr int kReplicaMs = 2000;  // a replica has that long to catch up
constexpr const char* kIsBehind = "without a replica that has what it has";

/// One router's part in the growth of an index. It is kept by what it waits for.
class Growth : public std::enable_shared_from_this<Growth> {
 public:
  using Done = std::function<void(const Status&)>;

  /// No `partitions`: it only has to be in use. may_round: vectors may change in their last place.
  Growth(RouterServices& services, std::string index, std::optional<std::size_t> partitions,
         bool may_round, Done done)
      : services_(services),
        index_(std::move(index)),
        partitions_(partitions),
        may_round_(may_round),
        done_(std::move(done)) {}

  void begin() {
    progress_.holder = layout_clock_us();
    find([this](const LayoutPtr& found) {
      const bool has_them =
          partitions_ && found->state == State::kReady && found->partitions == *partitions_;
      if (has_them) return end({});
      if (const Status checked = check(*found); !checked) return end(checked);
      hold([this] { find([this](const LayoutPtr& held) { advance(held); }); });
    });
  }

 private:
  using State = Layout::State;
  using Replies = std::vector<Reply>;
  using OnReplies = std::function<void(const Replies&)>;
  using Next = std::function<void()>;

  /// Whether it can become what is asked for.
  [[nodiscard]] Status check(const Layout& layout) const {
    if (!partitions_) return {};
    if (layout.is_usable() || layout.is_between()) return check_growth(layout, *partitions_);
    return tl::unexpected<Error>(not_usable(layout));
  }

  void find(std::function<void(const LayoutPtr&)> go_on) {
    services_.layouts.confirm(index_, [self = shared_from_this(),
                                       go_on = std::move(go_on)](const Result<LayoutPtr>& found) {
      if (!found) return self->end(tl::unexpected<Error>(found.error()));
      go_on(*found);
    });
  }

  /// Says that it is at it, and how far.
  void hold(const Next& go_on) {
    Command command = {.slot = slot_of(meta_key(index_)),
                       .bytes = hold_command(index_, progress_, kHoldMs)};
    const bool is_secured = secure(command);
    services_.cluster.send(
        std::move(command), [self = shared_from_this(), go_on, is_secured](const Answer& answer) {
          if (answer.is_missing) {
            return self->end(fail(ErrorCode::kUnavailable, "the growth of index '" + self->index_ +
                                                               "' cannot be noted (" +
                                                               answer.bytes + ")"));
          }
          const Reply reply = read_reply(answer.bytes);
          if (reply.is_error()) return self->end(fail(ErrorCode::kIo, reply.error_text()));
          if (reply.is_null()) return self->end(self->under_way());
          if (is_secured && answer.replicas < 1) {
            return self->end(fail(ErrorCode::kUnavailable, self->stopped(kIsBehind)));
          }
          self->holds_ = true;
          self->held_ms_ = steady_ms();
          go_on();
        });
  }

  [[nodiscard]] Status under_way() const {
    return fail(ErrorCode::kAlreadyExists,
                "growth of index '" + index_ +
                    "' is already under way at a router; VINFO shows how far it is. Should that "
                    "router have ended, the command can be repeated in " +
                    std::to_string(kHoldMs / 1000) + " seconds");
  }

  /// Has the node of a command answer when one of its replicas, if it has any, has all that was
  /// written there: a failover then takes nothing back. False if it has none.
  bool secure(Command& command) const {
    const Shard* const shard = services_.cluster.map().find(command.slot);
    if (shard == nullptr || shard->replicas.empty()) return false;
    command.kind.use = LinkUse::kWaiting;
    command.wait = {.replicas = 1, .timeout_ms = kReplicaMs};
    return true;
  }

  /// Carries out what the layout asks for next.
  void advance(const LayoutPtr& layout) {
    layout_ = layout;
    switch (layout->state) {
      case State::kReady:
        return begin_growth();
      case State::kOpening:
        return rename(false, [this] { exchange(growing_of(*layout_)); });
      case State::kGrowing:
        if (!partitions_) return end({});
        if (!may_go_on_) return exchange(given_up_of(*layout_));
        // What another router still sends is to find neither items nor notes.
        if (layout_->into.empty()) return exchange(aimed_of(*layout_, layout_clock_us()));
        if (!is_own_aim()) return exchange(opening_of(*layout_, layout_clock_us()));
        return rename(false, [this] { remove(layout_->away, [this] { make_copies(); }); });
      case State::kClosing:
        if (!is_own_aim() || !may_go_on_) return exchange(opening_of(*layout_, layout_clock_us()));
        return rename(true, [this] { empty_notes(0); });
      case State::kClearing:
        return remove(layout->away, [this] { exchange(ready_of(*layout_)); });
      case State::kMaking:
      case State::kDropping:
        return end(tl::unexpected<Error>(not_usable(*layout)));
    }
  }

  [[nodiscard]] bool is_own_aim() const {
    return aim_ && layout_->into == std::vector<Placement>{*aim_};
  }

  void begin_growth() {
    if (!may_go_on_ || !partitions_ || layout_->partitions == *partitions_) return end(may_go_on_);
    if (const Status checked = check(*layout_); !checked) return end(checked);
    // VTUNE is for an index of one partition, and what it finds is not told by VNEW.
    ask({{layout_->slots[0], encode_command({"ENGRAM.VINFO", layout_->keys[0]})}},
        [this](const Replies& told) {
          const auto& facts = told.front().items;
          for (std::size_t i = 0; i + 1 < facts.size(); i += 2) {
            // Those that recall by a beta or a radius of their own tell what else it has found.
            if (facts[i].text != "gap" && facts[i + 1].text != "vtune") continue;
            return end(
                fail(ErrorCode::kUnsupported, "index '" + index_ +
                                                  "' recalls by what VTUNE has found, which holds "
                                                  "for an index of one partition"));
          }
          exchange(opening_of(*layout_, layout_clock_us()));
        });
  }

  /// Makes `next` the layout, unless it is another by now, and goes on with that.
  void exchange(Layout next) {
    if (next.state == State::kGrowing && !next.into.empty()) aim_ = next.into.front();
    next.stored = next.text();
    const auto made = std::make_shared<const Layout>(std::move(next));
    exchange_layout(services_, *layout_, made->stored,
                    [self = shared_from_this(), made](const Answer& answer) {
                      self->take_exchange(answer, made);
                    });
  }

  void take_exchange(const Answer& answer, const LayoutPtr& made) {
    const Reply reply = answer.is_missing ? Reply::error(answer.bytes) : read_reply(answer.bytes);
    if (reply.is_error()) {
      return end(fail(ErrorCode::kUnavailable, "the layout of index '" + index_ +
                                                   "' cannot be written (" + reply.text + ")"));
    }
    // The note comes after it to the same replica.
    if (!reply.is_null()) return hold([this, made] { advance(made); });
    end(fail(ErrorCode::kAlreadyExists, "index '" + index_ +
                                            "' was dropped meanwhile, or another router has gone "
                                            "on with its growth"));
  }

  /// Gives all partitions the keys of the layout, if they have not got them.
  void rename(bool keeps_notes, const Next& go_on) {
    std::vector<Command> commands;
    for (std::size_t p = 0; p < layout_->partitions; ++p) {
      commands.push_back({layout_->slots[p], rename_command(*layout_, p, keeps_notes)});
    }
    ask(std::move(commands), [go_on](const Replies&) { go_on(); });
  }

  [[nodiscard]] std::vector<Command> removing(const std::vector<Placement>& placements) const {
    std::vector<Command> commands;
    for (Removal& removal : removals_of(*layout_, placements)) {
      for (std::size_t p = 0; p < removal.commands.size(); ++p) {
        commands.push_back({removal.layout->slots[p], std::move(removal.commands[p])});
      }
    }
    return commands;
  }

  void remove(const std::vector<Placement>& placements, const Next& go_on) {
    ask(removing(placements), [go_on](const Replies&) { go_on(); });
  }

  void make_copies() {
    copies_ = std::make_shared<const Layout>(layout_->at(*aim_));
    owners_ = owners_of_copies();
    std::vector<Command> commands;
    const std::vector<std::string> words = layout_->words();
    for (std::size_t p = 0; p < copies_->partitions; ++p) {
      std::vector<std::string_view> command = {"ENGRAM.VNEW", copies_->keys[p]};
      command.insert(command.end(), words.begin(), words.end());
      commands.push_back({copies_->slots[p], encode_command(command)});
    }
    ask(std::move(commands), [this](const Replies&) {
      count(*layout_, [this](std::uint64_t items) {
        progress_.copied = 0;
        progress_.items = items;
        hold([this] { copy_page(0, "-"); });
      });
    });
  }

  [[nodiscard]] std::vector<Address> owners_of_copies() const {
    std::vector<Address> owners;
    for (const std::uint16_t slot : copies_->slots) {
      const Shard* const shard = services_.cluster.map().find(slot);
      owners.push_back(shard != nullptr ? shard->master : Address());
    }
    return owners;
  }

  void count(const Layout& layout, const std::function<void(std::uint64_t)>& go_on) {
    std::vector<Command> commands;
    for (std::size_t p = 0; p < layout.partitions; ++p) {
      commands.push_back({layout.slots[p], encode_command({"ENGRAM.VCARD", layout.keys[p]})});
      secure(commands.back());
    }
    ask(std::move(commands), [go_on](const Replies& replies) {
      std::uint64_t items = 0;
      for (const Reply& reply : replies) items += static_cast<std::uint64_t>(reply.integer);
      go_on(items);
    });
  }

  [[nodiscard]] std::size_t batch() const {
    const std::size_t bytes = std::max<std::size_t>(layout_->dim, 1) * sizeof(float);
    return std::clamp<std::size_t>(kBytesOfBatch / bytes, 1, kMostOfBatch);
  }

  /// Copies a partition from a name on; then those behind it, and then what was written meanwhile.
  void copy_page(std::size_t p, const std::string& from) {
    if (p == layout_->partitions) return work_off_notes(0, 0, 0);
    const std::string size = std::to_string(kNamesOfPage);
    ask({{layout_->slots[p], encode_command({"ENGRAM.VRANGE", layout_->keys[p], from, "+", size})}},
        [this, p](const Replies& replies) {
          auto names = std::make_shared<std::vector<std::string>>();
          for (const Reply& name : replies.front().items) names->push_back(name.text);
          names->empty() ? copy_page(p + 1, "-") : copy_names(p, names, 0);
        });
  }

  void copy_names(std::size_t p, const std::shared_ptr<const std::vector<std::string>>& names,
                  std::size_t at) {
    if (at >= names->size()) return copy_page(p, "(" + names->back());
    const auto first = names->begin() + static_cast<std::ptrdiff_t>(at);
    const std::size_t size = std::min(batch(), names->size() - at);
    const std::vector<std::string> some(first, first + static_cast<std::ptrdiff_t>(size));
    copy(p, read_command(layout_->keys[p], some), [this, p, names, at, size](std::size_t) {
      progress_.copied += size;
      hold_now_and_then([this, p, names, at, size] { copy_names(p, names, at + size); });
    });
  }

  void give_up(const std::string& key) {
    may_go_on_ =
        fail(ErrorCode::kUnsupported,
             "index '" + index_ + "' has vectors under cosine whose length is not 1, as that of '" +
                 shown(key) +
                 "': to be moved they are rounded once more, in their last place. VPARTITIONS " +
                 "... ROUNDED allows that");
    advance(layout_);
  }

  void hold_now_and_then(const Next& go_on) {
    steady_ms() - held_ms_ < kHoldAgainMs ? go_on() : hold(go_on);
  }

  /// Copies the items that partition p answers to `command`; tells how many they were.
  void copy(std::size_t p, std::string command, const std::function<void(std::size_t)>& go_on) {
    ask({{layout_->slots[p], std::move(command)}}, [this, p, go_on](const Replies& replies) {
      const auto items = read_items(replies.front());
      if (!items) return end(tl::unexpected<Error>(items.error()));
      for (const ItemCopy& item : *items) {
        if (!may_round_ && !is_exact(item, layout_->metric)) return give_up(item.key);
      }
      std::vector<ItemCopy> halves[2];
      for (const ItemCopy& item : *items) {
        const bool is_upper = partition_of(item.key, copies_->partitions) != p;
        halves[is_upper ? 1 : 0].push_back(item);
      }
      std::vector<Command> commands;
      for (std::size_t half = 0; half < 2; ++half) {
        if (halves[half].empty()) continue;
        const std::size_t to = p + half * layout_->partitions;
        commands.push_back({copies_->slots[to], write_command(copies_->keys[to], halves[half])});
      }
      ask(std::move(commands), [go_on, count = items->size()](const Replies&) { go_on(count); });
    });
  }

  /// Until so little was written while it was at it that commands can wait for the rest.
  void work_off_notes(std::size_t p, std::size_t found, std::size_t rounds) {
    if (p == layout_->partitions) {
      const bool is_little = found <= batch() * layout_->partitions;
      if (!is_little && rounds < kMostRounds) return work_off_notes(0, 0, rounds + 1);
      return exchange(closing_of(*layout_, layout_clock_us()));
    }
    take_notes(p, [this, p, found, rounds](std::size_t count) {
      hold_now_and_then([this, p, found, rounds, count] {
        work_off_notes(count < batch() ? p + 1 : p, found + count, rounds);
      });
    });
  }

  void take_notes(std::size_t p, const std::function<void(std::size_t)>& go_on) {
    copy(p, take_notes_command(layout_->keys[p], batch()), go_on);
  }

  /// Nothing is written any more; so what is noted comes to an end.
  void empty_notes(std::size_t p) {
    if (p == layout_->partitions) return compare();
    take_notes(p, [this, p](std::size_t count) {
      hold_now_and_then([this, p, count] { empty_notes(count == 0 ? p + 1 : p); });
    });
  }

  /// Both must have as many items, and the nodes that have the copies must be those that they were
  /// sent to, for a replica that has taken over may lack some. Else these are not to be used.
  void compare() {
    count(*layout_, [this](std::uint64_t items) {
      count(*copies_, [this, items](std::uint64_t copied) {
        if (owners_ != owners_of_copies()) {
          return end(fail(ErrorCode::kUnavailable, stopped("no more the one that copies went to")));
        }
        if (items == copied) return exchange(clearing_of(*layout_));
        end(fail(ErrorCode::kDataLoss, "index '" + index_ + "' has " + std::to_string(items) +
                                           " items, and its copy " + std::to_string(copied)));
      });
    });
  }

  /// Sends all, and goes on when each was done.
  void ask(std::vector<Command> commands, const OnReplies& go_on) {
    struct Asking {
      Replies replies;
      std::size_t left;
      std::optional<Error> failure = {};
    };
    auto asking = std::make_shared<Asking>();
    asking->replies.resize(commands.size());
    asking->left = commands.size();
    if (commands.empty()) return go_on(asking->replies);
    for (std::size_t i = 0; i < commands.size(); ++i) {
      const bool is_secured = commands[i].wait.has_value();
      services_.cluster.send(std::move(commands[i]), [self = shared_from_this(), asking, i,
                                                      is_secured, go_on](const Answer& answer) {
        Reply& reply = asking->replies[i];
        if (!answer.is_missing && is_secured && answer.replicas < 1) {
          asking->failure = Error{ErrorCode::kUnavailable, self->stopped(kIsBehind)};
        }
        if (answer.is_missing) {
          asking->failure = Error{ErrorCode::kUnavailable, self->stopped(answer.bytes)};
        } else {
          reply = read_reply(answer.bytes);
          if (reply.is_error()) {
            asking->failure = Error{ErrorCode::kIo, self->stopped(reply.error_text())};
          }
        }
        if (--asking->left > 0) return;
        if (asking->failure) return self->end(tl::unexpected<Error>(*asking->failure));
        go_on(asking->replies);
      });
    }
  }

  [[nodiscard]] std::string stopped(const std::string& why) const {
    return "the growth of index '" + index_ + "' has stopped: a node says or is '" + why +
           "'; the same command goes on with it";
  }

  void end(const Status& status) {
    if (status || !aim_) return release(status);
    // Where the layout says nothing of its copies any more, nobody else removes them.
    services_.layouts.confirm(
        index_, [self = shared_from_this(), status](const Result<LayoutPtr>& found) {
          const bool is_read = found || found.error().code == ErrorCode::kNotFound;
          const auto known = found ? (*found)->placements() : std::vector<Placement>{};
          const bool is_known = std::find(known.begin(), known.end(), *self->aim_) != known.end();
          if (!is_read || is_known) return self->release(status);
          for (Command& command : self->removing({*self->aim_})) {
            self->services_.cluster.send(std::move(command), [](const Answer&) {});
          }
          self->release(status);
        });
  }

  void release(const Status& status) {
    if (!holds_) return done_(status);
    Command command = {.slot = slot_of(meta_key(index_)),
                       .bytes = release_command(index_, progress_.holder)};
    services_.cluster.send(std::move(command), [self = shared_from_this(), status](const Answer&) {
      self->done_(status);
    });
  }

  RouterServices& services_;
  const std::string index_;
  const std::optional<std::size_t> partitions_;
  const bool may_round_;
  const Done done_;
  GrowthProgress progress_;
  LayoutPtr layout_;              // that the cluster has
  std::vector<Address> owners_;   // of the slots of the copies, when these were begun
  std::optional<Placement> aim_;  // where this router copies to
  LayoutPtr copies_;              // the index there
  Status may_go_on_;              // why it is not to grow
  bool holds_ = false;
  std::int64_t held_ms_ = 0;
};

}  // namespace

void settle_growth(RouterServices& services, const std::string& index) {
  if (!services.settling.insert(index).second) return;
  std::make_shared<Growth>(services, index, std::nullopt, false, [&services, index](const Status&) {
    // As long as another router is at it there is nothing to do but to wait.
    services.timers.add(steady_ms() + kSettleAgainMs,
                        [&services, index] { services.settling.erase(index); });
  })->begin();
}

void vpartitions(const CallPtr& call) {
  const auto partitions = parse_integer(call->argv[2]);
  if (!partitions || *partitions < 1) {
    return call->answer_error(
        "ERR the number of partitions must be an integer of 1 or more, got '" + call->argv[2] +
        "'");
  }
  const bool may_round = call->argv.size() == 4 && equal_ignoring_case(call->argv[3], "ROUNDED");
  if (call->argv.size() > (may_round ? 4 : 3)) return call->answer_error(kSyntaxError);
  if (const Status named = check_index_name(call->argv[1]); !named) {
    return call->answer_error(named.error());
  }
  std::make_shared<Growth>(call->services, call->argv[1], static_cast<std::size_t>(*partitions),
                           may_round,
                           [call](const Status& grown) {
                             grown ? call->answer_ok() : call->answer_error(grown.error());
                           })
      ->begin();
}

}  // namespace engram::router
