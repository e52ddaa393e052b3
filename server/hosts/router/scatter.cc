// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/router/scatter.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/hosts/router/growth.h"
#include "server/resp/command.h"

namespace engram::router {
namespace {

constexpr std::string_view kNoIndex = "ERR no such index";

struct Gathering {
  CallPtr call;
  LayoutPtr layout;
  OnLayout again;
  std::function<void(std::vector<Part>&)> go_on;
  std::vector<Part> parts;
  std::size_t left = 0;
};
using GatheringPtr = std::shared_ptr<Gathering>;

bool has_no_index(const Call& call, const Part& part) {
  if (part.answer.is_missing) return false;
  const bool is_told_by_null = call.argv[0] == "vinfo" && part.reply.is_null();
  return is_told_by_null || (part.reply.is_error() && part.reply.text.starts_with(kNoIndex));
}

/// Some commands say the same of a key that is not there as of an index without the item, or with
/// no items.
bool may_have_no_index(const Call& call, const Part& part) {
  constexpr std::array<std::string_view, 5> kSayNoError = {"vcard", "vemb", "vgetattr", "vismember",
                                                           "vsetattr"};
  using Kind = Reply::Kind;
  const Reply& reply = part.reply;
  const bool is_number = reply.kind == Kind::kInteger || reply.kind == Kind::kBoolean;
  const bool is_nothing = reply.is_null() || (is_number && reply.integer == 0) ||
                          (reply.is_array() && reply.items.empty());
  return is_nothing && !part.answer.is_missing && is_any_ignoring_case(call.argv[0], kSayNoError);
}

bool is_suspect(const Call& call, const Part& part) {
  return has_no_index(call, part) || may_have_no_index(call, part);
}

/// The layout is the same, so what is not there has been lost.
void count_as_missing(const Call& call, Part& part) {
  if (!has_no_index(call, part)) return;
  part.answer.is_missing = true;
  part.answer.bytes = "its node has no such key";
}

/// Whether the layout is another is not known, so what is not there may be elsewhere.
void count_as_unknown(const Call& call, Part& part, const std::string& why) {
  if (!is_suspect(call, part)) return;
  part.answer.is_missing = true;
  part.answer.bytes = "its node has no such key, or nothing in it; " + why;
}

void use(const CallPtr& call, const Result<LayoutPtr>& found, const OnLayout& go_on);

/// Its partitions are just found under other keys, which takes some milliseconds. Where the router
/// that was at it has ended, this one sees to it that it comes to an end.
void wait_for_keys(const CallPtr& call, const Layout& layout, const OnLayout& go_on) {
  constexpr std::int64_t kPatienceMs = 1000;
  RouterServices& services = call->services;
  const std::int64_t now_ms = steady_ms();
  if (call->held_since_ms == 0) call->held_since_ms = now_ms;
  const std::int64_t held_ms = now_ms - call->held_since_ms;
  if (held_ms > services.cluster.timeout_ms()) {
    return call->answer_error("MISSING index '" + layout.index +
                              "' is between two layouts, and has not gone on for " +
                              std::to_string(held_ms) + " ms; the write or read is not done");
  }
  if (held_ms >= kPatienceMs) settle_growth(services, layout.index);
  services.layouts.find_later(
      layout.index, [call, go_on](const Result<LayoutPtr>& found) { use(call, found, go_on); });
}

/// Goes on with a layout that can be used, once it can; or answers why it cannot be.
void use(const CallPtr& call, const Result<LayoutPtr>& found, const OnLayout& go_on) {
  if (!found) return call->answer_error(found.error());
  const Layout& layout = **found;
  if (layout.is_between()) return wait_for_keys(call, layout, go_on);
  call->held_since_ms = 0;
  if (layout.is_usable()) return go_on(call, *found);
  call->answer_error(not_usable(layout));
}

void finish(const GatheringPtr& gathering) {
  std::vector<Part>& parts = gathering->parts;
  const CallPtr& call = gathering->call;
  const auto is_told = [&call](const Part& part) { return !is_suspect(*call, part); };
  if (std::all_of(parts.begin(), parts.end(), is_told)) return gathering->go_on(parts);
  const auto give_up = [gathering](const auto& count) {
    for (Part& part : gathering->parts) count(*gathering->call, part);
    gathering->go_on(gathering->parts);
  };
  if (!gathering->again) return give_up(count_as_missing);
  // It is asked for after the answer: what that has not found is not there under this layout.
  call->services.layouts.confirm(
      gathering->layout->index, [gathering, give_up](const Result<LayoutPtr>& found) {
        if (!found && found.error().code == ErrorCode::kUnavailable) {
          return give_up([&found](const Call& same, Part& part) {
            count_as_unknown(same, part, found.error().message);
          });
        }
        const bool is_same = found && (*found)->epoch == gathering->layout->epoch;
        if (is_same && (*found)->is_usable()) return give_up(count_as_missing);
        ++gathering->call->services.counts.relaid;
        use(gathering->call, found, gathering->again);
      });
}

}  // namespace

Error not_usable(const Layout& layout) {
  const bool is_making = layout.state == Layout::State::kMaking;
  return {ErrorCode::kAlreadyExists,
          "index '" + layout.index +
              (is_making ? "' is being made; if its VNEW has failed, VDROP removes it"
                         : "' is being dropped; if that has failed, VDROP goes on")};
}

Status check_in_use(const Layout& layout) {
  if (layout.is_usable() || layout.is_between()) return {};
  return tl::unexpected<Error>(not_usable(layout));
}

void with_layout(const CallPtr& call, OnLayout go_on) {
  const RouterServices& services = call->services;
  const bool is_fresh =
      call->reply->is_write() && !services.layouts.remembers_of_master(call->argv[1]);
  services.layouts.find(call->argv[1], is_fresh,
                        [call, go_on = std::move(go_on)](const Result<LayoutPtr>& found) {
                          use(call, found, go_on);
                        });
}

namespace {

/// What partitions had before they were renamed, or had not when they were copied to, a replica may
/// still have or not have for as long as it may be behind.
bool may_ask_replicas(const Cluster& cluster, const Layout& layout) {
  return !layout.is_grown || steady_ms() - layout.seen_ms > cluster.staleness_ms();
}

}  // namespace

void scatter(const CallPtr& call, const LayoutPtr& layout, std::vector<PartCommand> commands,
             LinkKind kind, OnLayout again, std::function<void(std::vector<Part>&)> go_on) {
  auto gathering = std::make_shared<Gathering>();
  gathering->call = call;
  gathering->layout = layout;
  gathering->again = std::move(again);
  gathering->go_on = std::move(go_on);
  gathering->parts.resize(commands.size());
  gathering->left = commands.size();
  // A cursor lives at the node that has begun it.
  static constexpr std::array<std::string_view, 2> kOfTheMaster = {"CURSOR", "TOUCH"};
  const bool may_be_stale =
      !call->reply->is_write() && may_ask_replicas(call->services.cluster, *layout) &&
      std::none_of(call->argv.begin(), call->argv.end(), [](const std::string& word) {
        return is_any_ignoring_case(word, kOfTheMaster);
      });
  for (std::size_t i = 0; i < commands.size(); ++i) {
    gathering->parts[i].partition = commands[i].partition;
    call->reply->charge(commands[i].bytes.size());
    Command command = {.slot = layout->slots[commands[i].partition],
                       .bytes = std::move(commands[i].bytes),
                       .kind = kind,
                       .wait = call->wait,
                       .may_be_stale = may_be_stale};
    call->services.cluster.send(std::move(command), [gathering, i](Answer&& answer) {
      Part& part = gathering->parts[i];
      gathering->call->reply->charge(answer.bytes.size());
      if (!answer.is_missing) part.reply = read_reply(answer.bytes);
      part.answer = std::move(answer);
      if (--gathering->left == 0) finish(gathering);
    });
  }
}

std::string part_command(const Layout& layout, std::size_t partition, std::string_view name,
                         const std::vector<std::string>& argv) {
  const std::string full_name = "ENGRAM." + std::string(name);
  std::vector<std::string_view> words(argv.begin(), argv.end());
  words[0] = full_name;
  words[1] = layout.keys[partition];
  return encode_command(words);
}

namespace {

void ask_one(const CallPtr& call, const LayoutPtr& layout, std::size_t partition, std::string bytes,
             OnLayout again, bool is_wrong) {
  scatter(call, layout, {{partition, std::move(bytes)}}, call->passing_link(), std::move(again),
          [call, layout, is_wrong](std::vector<Part>& parts) {
            if (answer_failure(call, *layout, parts)) return;
            if (is_wrong) return call->answer_error(kSyntaxError);
            call->answer(std::move(parts.front().answer.bytes));
          });
}

}  // namespace

void pass_on(const CallPtr& call, const LayoutPtr& layout, std::size_t partition, OnLayout again) {
  pass_on(call, layout, partition,
          part_command(*layout, partition, to_upper(call->argv[0]), call->argv), std::move(again));
}

void pass_on(const CallPtr& call, const LayoutPtr& layout, std::size_t partition, std::string bytes,
             OnLayout again) {
  ask_one(call, layout, partition, std::move(bytes), std::move(again), false);
}

void ask_what_is_wrong(const CallPtr& call, const LayoutPtr& layout, OnLayout again) {
  ask_one(call, layout, 0, part_command(*layout, 0, to_upper(call->argv[0]), call->argv),
          std::move(again), true);
}

std::vector<PartCommand> for_all(const Layout& layout, std::string_view name,
                                 const std::vector<std::string>& argv) {
  std::vector<PartCommand> commands;
  commands.reserve(layout.partitions);
  for (std::size_t p = 0; p < layout.partitions; ++p) {
    commands.push_back({p, part_command(layout, p, name, argv)});
  }
  return commands;
}

namespace {

/// Why partitions are missing, each once: it may have been sent several commands.
std::map<std::size_t, std::string_view> missing_partitions(const std::vector<Part>& parts) {
  std::map<std::size_t, std::string_view> missing;
  for (const Part& part : parts) {
    if (part.answer.is_missing) missing.emplace(part.partition, part.answer.bytes);
  }
  return missing;
}

}  // namespace

std::string missing_sentence(const Layout& layout, const std::vector<Part>& parts) {
  const auto missing = missing_partitions(parts);
  if (missing.empty()) return {};
  std::string names;
  for (const auto& [partition, why] : missing) {
    names.append(names.empty() ? "" : ", ").append(std::to_string(partition));
    names.append(" (").append(why).append(")");
  }
  return std::to_string(missing.size()) + " of " + std::to_string(layout.partitions) +
         " partitions of index '" + layout.index + "' did not answer: " + names;
}

namespace {

/// As the client is to read it: of the index, not of the key under which a partition lies.
std::string named_as_asked(const Layout& layout, const Part& part) {
  std::string text = part.reply.text;
  // Parts of a write may be of a layout before.
  if (part.partition >= layout.keys.size()) return text;
  const std::string& key = layout.keys[part.partition];
  const std::size_t at = text.find(key);
  if (at != std::string::npos) text.replace(at, key.size(), layout.index);
  return text;
}

/// A node that has too few replicas refuses a write by the word with which the router says that it
/// is done, but not everywhere.
std::string shown_error(const Layout& layout, const Part& part, std::size_t parts) {
  if (!part.reply.is_error("NOREPLICAS")) return named_as_asked(layout, part);
  return "ERR the write is not done at partition " + std::to_string(part.partition) +
         (parts > 1 ? ", but may be at others" : "") + ", whose node says " + part.reply.text;
}

}  // namespace

bool answer_failure(const CallPtr& call, const Layout& layout, const std::vector<Part>& parts) {
  if (std::string sentence = missing_sentence(layout, parts); !sentence.empty()) {
    call->services.counts.missing += missing_partitions(parts).size();
    const bool may_be_done =
        call->reply->is_write() && std::any_of(parts.begin(), parts.end(), [](const Part& part) {
          return !part.answer.is_missing || part.answer.is_uncertain;
        });
    if (may_be_done) sentence += "; the write may be done in part or in full";
    call->answer_error("MISSING " + sentence);
    return true;
  }
  for (const Part& part : parts) {
    if (!part.reply.is_error()) continue;
    if (part.reply.is_error("NOREPLICAS")) call->reply->set_error_code(ErrorCode::kUnavailable);
    call->answer_error(shown_error(layout, part, parts.size()));
    return true;
  }
  if (!call->wait) return false;
  for (const Part& part : parts) {
    if (part.answer.replicas >= call->wait->replicas) continue;
    call->answer_error("NOREPLICAS the write is done, but only " +
                       std::to_string(part.answer.replicas) + " of " +
                       std::to_string(call->wait->replicas) + " replicas of partition " +
                       std::to_string(part.partition) + " have it after " +
                       std::to_string(call->wait->timeout_ms) + " ms");
    return true;
  }
  return false;
}

}  // namespace engram::router
