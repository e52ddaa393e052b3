// SPDX-License-Identifier: Apache-2.0
// Commands on keys: each goes to the partition that its key belongs to.
#include <algorithm>
#include <array>
#include <map>

#include "core/text.h"
#include "server/commands/errors.h"
#include "server/hosts/router/commands.h"
#include "server/hosts/router/scatter.h"
#include "server/hosts/router/slots.h"

namespace engram::router {
namespace {

void to_partition_of_key(const CallPtr& call, const LayoutPtr& layout) {
  pass_on(call, layout, partition_of(call->argv[2], layout->partitions), to_partition_of_key);
}

void to_only_partition(const CallPtr& call, const LayoutPtr& layout) {
  if (layout->partitions == 1) return pass_on(call, layout, 0, to_only_partition);
  call->answer_error(Error{ErrorCode::kUnsupported,
                           to_upper(call->argv[0]) + " looks at an index as a whole, and '" +
                               layout->index + "' has " + std::to_string(layout->partitions) +
                               " partitions: one made with PARTITIONS 1 answers it"});
}

/// The words of a VMADD by partition; empty if they are not keys and vectors in turn.
std::map<std::size_t, std::vector<std::string>> split_items(const std::vector<std::string>& argv,
                                                            std::size_t partitions) {
  std::map<std::size_t, std::vector<std::string>> split;
  for (std::size_t at = 2; at < argv.size();) {
    const std::size_t end = end_of_vector(argv, at + 1);
    if (end == 0) return {};
    std::vector<std::string>& words = split[partition_of(argv[at], partitions)];
    if (words.empty()) words.assign(argv.begin(), argv.begin() + 2);
    words.insert(words.end(), argv.begin() + static_cast<std::ptrdiff_t>(at),
                 argv.begin() + static_cast<std::ptrdiff_t>(end));
    at = end;
  }
  return split;
}

void add_split(const CallPtr& call, const LayoutPtr& layout) {
  const auto split = split_items(call->argv, layout->partitions);
  if (split.empty()) return call->answer_error(kSyntaxError);
  std::vector<PartCommand> commands;
  commands.reserve(split.size());
  for (const auto& [partition, words] : split) {
    commands.push_back({partition, part_command(*layout, partition, "VMADD", words)});
  }
  const LinkKind kind = {.use = call->wait ? LinkUse::kWaiting : LinkUse::kPlain};
  scatter(call, layout, std::move(commands), kind, add_split, [call, layout](auto& parts) {
    if (answer_failure(call, *layout, parts)) return;
    std::int64_t added = 0;
    for (const Part& part : parts) added += part.reply.integer;
    call->answer([added](ReplyWriter& writer) { writer.integer(added); });
  });
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

void whole_index(const CallPtr& call) {
  with_layout(call, to_only_partition);
}

}  // namespace engram::router
