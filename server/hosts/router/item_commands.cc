// SPDX-License-Identifier: Apache-2.0
// Commands on keys: each goes to the partition that its key belongs to.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/growth_commands.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

using Words = std::vector<std::string>;

/// The command of the partition of argv[2].
Result<PartCommand> command_of_key(const Layout& layout, const Words& argv, const Call& call) {
  const std::size_t home = partition_of(argv[2], layout.partitions);
  if (!call.reply->is_write() || layout.state != Layout::State::kGrowing) {
    return PartCommand{home, part_command(layout, home, to_upper(argv[0]), argv)};
  }
  auto noted = noted_write(layout.keys[home], argv, call.version);
  if (!noted) return tl::unexpected<Error>(noted.error());
  return PartCommand{home, std::move(*noted)};
}

void to_partition_of_key(const CallPtr& call, const LayoutPtr& layout) {
  auto command = command_of_key(*layout, call->argv, *call);
  if (!command) return call->answer_error(command.error());
  pass_on(call, layout, command->partition, std::move(command->bytes), to_partition_of_key);
}

void to_only_partition(const CallPtr& call, const LayoutPtr& layout) {
  if (call->reply->is_write() && layout->state == Layout::State::kGrowing) {
    return call->answer_error("ERR " + to_upper(call->argv[0]) +
                              " changes an index as a whole, and '" + layout->index +
                              "' is growing: VINFO shows how far it is");
  }
  if (layout->partitions == 1) return pass_on(call, layout, 0, to_only_partition);
  call->answer_error(Error{ErrorCode::kUnsupported,
                           to_upper(call->argv[0]) + " looks at an index as a whole, and '" +
                               layout->index + "' has " + std::to_string(layout->partitions) +
                               " partitions: one made with PARTITIONS 1 answers it"});
}

/// Keys and vectors in turn, from argv[at] on, by partition; empty if that is not what they are.
std::map<std::size_t, Words> split_items(const Words& argv, std::size_t at,
                                         std::size_t partitions) {
  std::map<std::size_t, Words> split;
  while (at < argv.size()) {
    const std::size_t end = end_of_vector(argv, at + 1);
    if (end == 0) return {};
    Words& words = split[partition_of(argv[at], partitions)];
    words.insert(words.end(), argv.begin() + static_cast<std::ptrdiff_t>(at),
                 argv.begin() + static_cast<std::ptrdiff_t>(end));
    at = end;
  }
  return split;
}

/// A VMADD, or writes that together are one, while partitions answer.
struct Adding {
  CallPtr call;
  LayoutPtr layout;         // that the last answer came by
  std::vector<Part> parts;  // that have answered, or are missing
  std::size_t left = 0;
};
using AddingPtr = std::shared_ptr<Adding>;

Result<std::string> add_command(const Layout& layout, std::size_t partition, const Words& items) {
  if (layout.state == Layout::State::kGrowing) return noted_writes(layout.keys[partition], items);
  Words words = {"", ""};
  words.insert(words.end(), items.begin(), items.end());
  return part_command(layout, partition, "VMADD", words);
}

void end_adding(const Adding& adding) {
  const CallPtr& call = adding.call;
  if (answer_failure(call, *adding.layout, adding.parts)) return;
  std::int64_t added = 0;
  for (const Part& part : adding.parts) added += part.reply.integer;
  call->answer([added](ReplyWriter& writer) { writer.integer(added); });
}

/// Sends each partition its items. Those of a partition that has other keys by now go where the
/// layout has them then, and only those: what was added counts once.
void add_items(const AddingPtr& adding, const LayoutPtr& layout, const Words& items) {
  adding->layout = layout;
  const LinkKind kind = {.use = adding->call->wait ? LinkUse::kWaiting : LinkUse::kPlain};
  std::vector<std::pair<PartCommand, Words>> commands;
  for (auto& [partition, words] : split_items(items, 0, layout->partitions)) {
    auto command = add_command(*layout, partition, words);
    if (!command) return adding->call->answer_error(command.error());
    commands.emplace_back(PartCommand{partition, std::move(*command)}, std::move(words));
  }
  adding->left += commands.size();
  for (auto& [command, words] : commands) {
    const auto again = [adding, words = std::move(words)](const CallPtr&, const LayoutPtr& other) {
      --adding->left;
      add_items(adding, other, words);
    };
    scatter(adding->call, layout, {std::move(command)}, kind, again,
            [adding](std::vector<Part>& parts) {
              adding->parts.push_back(std::move(parts.front()));
              if (--adding->left == 0) end_adding(*adding);
            });
  }
}

/// As add_items(), of one item whose VADD is `argv`.
void add_one(const AddingPtr& adding, const LayoutPtr& layout, const Words& argv) {
  adding->layout = layout;
  auto command = command_of_key(*layout, argv, *adding->call);
  if (!command) return adding->call->answer_error(command.error());
  const auto again = [adding, argv](const CallPtr&, const LayoutPtr& other) {
    add_one(adding, other, argv);
  };
  scatter(adding->call, layout, {std::move(*command)}, {}, again,
          [adding](std::vector<Part>& parts) {
            adding->parts.push_back(std::move(parts.front()));
            if (--adding->left == 0) end_adding(*adding);
          });
}

void add_split(const CallPtr& call, const LayoutPtr& layout) {
  if (split_items(call->argv, 2, layout->partitions).empty()) {
    return call->answer_error(kSyntaxError);
  }
  auto adding = std::make_shared<Adding>();
  adding->call = call;
  add_items(adding, layout, Words(call->argv.begin() + 2, call->argv.end()));
}

}  // namespace

void one_key(const CallPtr& call) {
  with_layout(call, to_partition_of_key);
}

void vadd(const CallPtr& call) {
  constexpr std::array<std::string_view, 3> kSetForms = {"FP32", "VALUES", "REDUCE"};
  const auto is_form = [&](auto word) { return equal_ignoring_case(call->argv[2], word); };
  if (call->argv.size() > 4 && std::any_of(kSetForms.begin(), kSetForms.end(), is_form)) {
    return call->answer_error(
        "ERR behind a router VADD is index key vector: what makes a vector set is not for it");
  }
  with_layout(call, to_partition_of_key);
}

void vmadd(const CallPtr& call) {
  with_layout(call, add_split);
}

void add_each(const CallPtr& call, std::vector<Words> writes) {
  with_layout(call, [writes = std::move(writes)](const CallPtr& same, const LayoutPtr& layout) {
    auto adding = std::make_shared<Adding>();
    adding->call = same;
    adding->left = writes.size();
    for (const Words& argv : writes) add_one(adding, layout, argv);
  });
}

void whole_index(const CallPtr& call) {
  with_layout(call, to_only_partition);
}

}  // namespace engram::router
