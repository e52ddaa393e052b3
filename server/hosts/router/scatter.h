// SPDX-License-Identifier: Apache-2.0
// One command to several partitions of an index, and what is said of those that do not answer.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/hosts/router/call.h"
#include "server/hosts/router/layouts.h"

namespace engram::router {

struct PartCommand {
  std::size_t partition;
  std::string bytes;
};

struct Part {
  std::size_t partition = 0;
  Answer answer = {};
  Reply reply = {};  ///< of an answer that is not missing
};

/// What a command does once it knows the layout.
using OnLayout = std::function<void(const CallPtr&, const LayoutPtr&)>;

/// Goes on with the layout of the index that argv[1] names once it can be used, or answers why not.
void with_layout(const CallPtr& call, OnLayout go_on);

/// Why an index cannot be used whose layout is_usable() no more than it is_between().
Error not_usable(const Layout& layout);

/// Errors: that one. An index between two layouts will be in use again.
Status check_in_use(const Layout& layout);

/// Sends each command to its partition, and goes on with what they came to, in the order of
/// `commands`. Where a partition has no such index, or may have none, the layout is read anew: if
/// it is another, `again` starts over once it can be used, and if it is the same, or cannot be
/// read, a partition without the index counts as missing. No `again`: it is not read.
void scatter(const CallPtr& call, const LayoutPtr& layout, std::vector<PartCommand> commands,
             LinkKind kind, OnLayout again, std::function<void(std::vector<Part>&)> go_on);

/// Gives the client the reply of one partition as it is. again: see scatter().
void pass_on(const CallPtr& call, const LayoutPtr& layout, std::size_t partition, OnLayout again);

/// The same, where the command of the partition is `bytes`.
void pass_on(const CallPtr& call, const LayoutPtr& layout, std::size_t partition, std::string bytes,
             OnLayout again);

/// Answers what a partition says of a malformed read. What that takes for right is no answer of the
/// whole index, and a syntax error, too.
void ask_what_is_wrong(const CallPtr& call, const LayoutPtr& layout, OnLayout again);

/// The same command to each partition: `argv` with argv[1] replaced by the partition's key, and
/// argv[0] by `name`.
std::vector<PartCommand> for_all(const Layout& layout, std::string_view name,
                                 const std::vector<std::string>& argv);

/// The command of a partition.
std::string part_command(const Layout& layout, std::size_t partition, std::string_view name,
                         const std::vector<std::string>& argv);

/// The sentence on the parts that are missing; empty if none is.
std::string missing_sentence(const Layout& layout, const std::vector<Part>& parts);

/// Answers an error if a part is one, or is missing: the call is over then.
bool answer_failure(const CallPtr& call, const Layout& layout, const std::vector<Part>& parts);

}  // namespace engram::router
