// SPDX-License-Identifier: Apache-2.0
// COMMAND: the command table, as clients read it.
#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/glob.h"
#include "server/commands/syntax.h"
#include "server/commands/table.h"

namespace engram {
namespace {

using namespace command_flag;

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 13> kFlagNames = {
    {{kWrite, "write"},
     {kReadonly, "readonly"},
     {kDenyOom, "denyoom"},
     {kAdmin, "admin"},
     {kNoScript, "noscript"},
     {kLoading, "loading"},
     {kStale, "stale"},
     {kSkipSlowlog, "skip_slowlog"},
     {kFast, "fast"},
     {kNoAuth, "no_auth"},
     {kNoMulti, "no_multi"},
     {kMayReplicate, "may_replicate"},
     {kAllowBusy, "allow_busy"}}};

void reply_simple_set(ReplyWriter& reply, const std::vector<std::string>& words) {
  reply.set(words.size());
  for (const std::string& word : words) reply.simple(word);
}

std::vector<std::string> flag_names(const CommandSpec& spec) {
  std::vector<std::string> names;
  for (const auto& [flag, name] : kFlagNames) {
    if ((spec.flags & flag) != 0) names.emplace_back(name);
  }
  return names;
}

/// Redis's ACL categories, derived: none of them needs a declaration of its own.
std::vector<std::string> categories(const CommandSpec& spec) {
  std::vector<std::string> names;
  if ((spec.flags & kWrite) != 0) names.emplace_back("@write");
  if ((spec.flags & kReadonly) != 0) names.emplace_back("@read");
  if ((spec.flags & kAdmin) != 0) names.insert(names.end(), {"@admin", "@dangerous"});
  if (spec.group == "generic") {
    names.emplace_back("@keyspace");
  } else if (spec.group == "transactions") {
    names.emplace_back("@transaction");
  } else if (spec.group != "server" && spec.group != "cluster") {
    names.emplace_back("@").append(spec.group);
  }
  names.emplace_back((spec.flags & kFast) != 0 ? "@fast" : "@slow");
  return names;
}

std::vector<std::string> key_flags(const CommandSpec& spec) {
  std::string_view words = spec.key_flags;
  if (words.empty()) words = spec.kind() == CommandKind::kWrite ? "RW update" : "RO access";
  std::vector<std::string> flags;
  while (!words.empty()) {
    const std::size_t end = std::min(words.find(' '), words.size());
    flags.emplace_back(words.substr(0, end));
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return flags;
}

void reply_key_specs(ReplyWriter& reply, const CommandSpec& spec) {
  reply.set(spec.keys.first == 0 ? 0 : 1);
  if (spec.keys.first == 0) return;
  reply.map(3);
  reply.bulk("flags");
  reply_simple_set(reply, key_flags(spec));
  reply.bulk("begin_search");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("index");
  reply.bulk("spec");
  reply.map(1);
  reply.bulk("index");
  reply.integer(spec.keys.first);
  reply.bulk("find_keys");
  reply.map(2);
  reply.bulk("type");
  reply.bulk("range");
  reply.bulk("spec");
  reply.map(3);
  reply.bulk("lastkey");
  // Counted from the first key, where the table counts from the name.
  reply.integer(spec.keys.last < 0 ? spec.keys.last : spec.keys.last - spec.keys.first);
  reply.bulk("keystep");
  reply.integer(spec.keys.step);
  reply.bulk("limit");
  reply.integer(0);
}

void reply_info(ReplyWriter& reply, const CommandSpec* container, const CommandSpec& spec) {
  reply.array(10);
  reply.bulk(full_name(container, spec));
  reply.integer(spec.arity);
  reply_simple_set(reply, flag_names(spec));
  reply.integer(spec.keys.first);
  reply.integer(spec.keys.last);
  reply.integer(spec.keys.step);
  reply_simple_set(reply, categories(spec));
  reply.set(0);  // tips for proxies
  reply_key_specs(reply, spec);
  // Redis says "no subcommands" by an empty set, and some by an array.
  spec.subcommands.empty() ? reply.set(0) : reply.array(spec.subcommands.size());
  for (const CommandSpec& subcommand : spec.subcommands) reply_info(reply, &spec, subcommand);
}

void reply_field(ReplyWriter& reply, std::string_view name, std::string_view value) {
  reply.bulk(name);
  reply.bulk(value);
}

void reply_argument(ReplyWriter& reply, const SyntaxNode& argument) {
  const bool flagged = argument.optional || argument.multiple;
  reply.map(2U + (argument.token.empty() ? 0U : 1U) + (flagged ? 1U : 0U) +
            (argument.children.empty() ? 0U : 1U));
  reply_field(reply, "name", argument.name);
  reply_field(reply, "type", argument.type);
  if (!argument.token.empty()) reply_field(reply, "token", argument.token);
  if (flagged) {
    reply.bulk("flags");
    std::vector<std::string> flags;
    if (argument.optional) flags.emplace_back("optional");
    if (argument.multiple) flags.emplace_back("multiple");
    reply_simple_set(reply, flags);
  }
  if (argument.children.empty()) return;
  reply.bulk("arguments");
  reply.array(argument.children.size());
  for (const SyntaxNode& child : argument.children) reply_argument(reply, child);
}

void reply_docs(ReplyWriter& reply, const CommandSpec* container, const CommandSpec& spec) {
  const auto arguments = parse_syntax(spec.syntax);
  reply.bulk(full_name(container, spec));
  reply.map(4U + (arguments.empty() ? 0U : 1U) + (spec.subcommands.empty() ? 0U : 1U));
  reply_field(reply, "summary", spec.summary);
  reply_field(reply, "since", spec.since);
  reply_field(reply, "group", spec.group);
  reply_field(reply, "complexity", spec.complexity);
  if (!arguments.empty()) {
    reply.bulk("arguments");
    reply.array(arguments.size());
    for (const SyntaxNode& argument : arguments) reply_argument(reply, argument);
  }
  if (spec.subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(spec.subcommands.size());
  for (const CommandSpec& subcommand : spec.subcommands) reply_docs(reply, &spec, subcommand);
}

/// The container of the command that `name` ("container|sub") means, or null.
const CommandSpec* container_of(const CommandTable& table, std::string_view name) {
  const std::size_t bar = name.find('|');
  return bar == std::string_view::npos ? nullptr : table.find(name.substr(0, bar));
}

void reply_all_info(ReplyWriter& reply, const CommandTable& table) {
  reply.array(table.commands().size());
  for (const CommandSpec* const spec : table.commands()) {
    reply_info(reply, nullptr, *spec);
  }
}

void command(CommandContext& context) {
  reply_all_info(context.reply, context.services.commands);
}

void command_count(CommandContext& context) {
  context.reply.integer(static_cast<std::int64_t>(context.services.commands.commands().size()));
}

/// Whether there are no more `names` than commands and subcommands, so that none has to be
/// described twice; writes the error otherwise.
bool check_count(CommandContext& context, Arguments names) {
  std::size_t most = 0;
  for (const CommandSpec* const spec : context.services.commands.commands()) {
    most += 1 + spec->subcommands.size();
  }
  if (names.size() <= most) return true;
  context.reply.error("ERR there are only " + std::to_string(most) +
                      " commands and subcommands, and " + std::to_string(names.size()) +
                      " names were given");
  return false;
}

void command_info(CommandContext& context) {
  const Arguments names = context.argv.subspan(2);
  if (!check_count(context, names)) return;
  if (names.empty()) return reply_all_info(context.reply, context.services.commands);
  context.reply.array(names.size());
  for (const std::string_view name : names) {
    const CommandSpec* const spec = context.services.commands.find_full(name);
    spec == nullptr
        ? context.reply.null()
        : reply_info(context.reply, container_of(context.services.commands, name), *spec);
  }
}

void command_docs(CommandContext& context) {
  const Arguments names = context.argv.subspan(2);
  if (!check_count(context, names)) return;
  if (names.empty()) {
    context.reply.map(context.services.commands.commands().size());
    for (const CommandSpec* const spec : context.services.commands.commands()) {
      reply_docs(context.reply, nullptr, *spec);
    }
    return;
  }
  std::vector<std::string_view> known;
  std::copy_if(names.begin(), names.end(), std::back_inserter(known),
               [&context](std::string_view name) {
                 return context.services.commands.find_full(name) != nullptr;
               });
  context.reply.map(known.size());
  for (const std::string_view name : known) {
    reply_docs(context.reply, container_of(context.services.commands, name),
               *context.services.commands.find_full(name));
  }
}

/// Whether `spec` of that full name passes FILTERBY `kind` `value`; nothing if there is no such
/// kind.
std::optional<bool> passes(const CommandSpec& spec, std::string_view name, std::string_view kind,
                           std::string_view value, GlobPattern& pattern) {
  if (equal_ignoring_case(kind, "MODULE")) return false;
  if (equal_ignoring_case(kind, "PATTERN")) return pattern.matches(name);
  if (!equal_ignoring_case(kind, "ACLCAT")) return std::nullopt;
  const auto names = categories(spec);
  return std::any_of(names.begin(), names.end(), [value](const std::string& category) {
    return equal_ignoring_case(std::string_view(category).substr(1), value);
  });
}

/// Adds the full names of the commands that pass, subcommands too; false if there is no such kind
/// of filter. `filter`: kind and value, or nothing.
bool list(const CommandSpec* container, std::span<const CommandSpec* const> specs, Arguments filter,
          GlobPattern& pattern, std::vector<std::string>& names) {
  for (const CommandSpec* const spec : specs) {
    std::string name = full_name(container, *spec);
    const auto listed = filter.empty() ? true : passes(*spec, name, filter[0], filter[1], pattern);
    if (!listed) return false;
    if (*listed) names.push_back(std::move(name));
    for (const CommandSpec& subcommand : spec->subcommands) {
      const CommandSpec* const one = &subcommand;
      if (!list(spec, {&one, 1}, filter, pattern, names)) return false;
    }
  }
  return true;
}

void command_list(CommandContext& context) {
  const Arguments filter = context.argv.subspan(2);
  if (!filter.empty() && (filter.size() != 3 || !equal_ignoring_case(filter[0], "FILTERBY"))) {
    return context.reply.error(kSyntaxError);
  }
  GlobPattern pattern(filter.empty() ? "*" : filter[2], /*ignore_case=*/true);
  std::vector<std::string> names;
  if (!list(nullptr, context.services.commands.commands(),
            filter.empty() ? filter : filter.subspan(1), pattern, names)) {
    return context.reply.error(kSyntaxError);
  }
  context.reply.array(names.size());
  for (const std::string& name : names) context.reply.bulk(name);
}

/// What is done with the keys of a whole command. SET alone has to be looked into: it reads its key
/// if it is asked to.
std::vector<std::string> key_flags_of(const CommandSpec& spec, Arguments argv) {
  if (spec.name != "set") return key_flags(spec);
  const bool reads = std::any_of(argv.begin() + 3, argv.end(), [](std::string_view word) {
    return equal_ignoring_case(word, "GET");
  });
  return reads ? std::vector<std::string>{"RW", "access", "update"}
               : std::vector<std::string>{"OW", "update"};
}

/// The keys of the command from argv[2] on; each by `write(key, flags)`.
template <class Write>
void reply_keys_of_command(CommandContext& context, const Write& write) {
  const Arguments argv = context.argv.subspan(2);
  const CommandSpec* spec = context.services.commands.find(argv[0]);
  if (spec != nullptr && !spec->subcommands.empty() && argv.size() > 1) {
    spec = find_subcommand(*spec, argv[1]);
  }
  if (spec == nullptr) return context.reply.error("ERR Invalid command specified");
  const KeyRange& range = spec->keys;
  if (range.first == 0) return context.reply.error("ERR The command has no key arguments");
  if (!arity_fits(*spec, argv.size())) {
    return context.reply.error("ERR Invalid number of arguments specified for command");
  }
  const auto end = range.last < 0 ? static_cast<std::ptrdiff_t>(argv.size()) + range.last
                                  : std::ptrdiff_t{range.last};
  const std::vector<std::string> flags = key_flags_of(*spec, argv);
  context.reply.array(static_cast<std::size_t>((end - range.first) / range.step + 1));
  for (std::ptrdiff_t at = range.first; at <= end; at += range.step) {
    write(argv[static_cast<std::size_t>(at)], flags);
  }
}

void command_getkeys(CommandContext& context) {
  reply_keys_of_command(context,
                        [&context](std::string_view key, const auto&) { context.reply.bulk(key); });
}

void command_getkeysandflags(CommandContext& context) {
  reply_keys_of_command(context, [&context](std::string_view key, const auto& flags) {
    context.reply.array(2);
    context.reply.bulk(key);
    reply_simple_set(context.reply, flags);
  });
}

constexpr CommandSpec command_subcommand(std::string_view name, Handler handler, int arity,
                                         std::string_view summary, std::string_view syntax,
                                         std::string_view since) {
  return {.name = name,
          .handler = handler,
          .arity = arity,
          .flags = kLoading | kStale,
          .group = "server",
          .summary = summary,
          .syntax = syntax,
          .complexity = "O(N) in the number of commands",
          .since = since};
}

constexpr std::array kCommandSubcommands = {
    command_subcommand("count", command_count, 2, "Returns the number of commands", "", "2.8.13"),
    command_subcommand(
        "list", command_list, -2, "Returns the names of the commands and their subcommands",
        "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", "7.0.0"),
    command_subcommand("info", command_info, -2, "Returns arity, flags and keys of commands",
                       "[command-name...]", "2.8.13"),
    command_subcommand("docs", command_docs, -2, "Returns summaries and arguments of commands",
                       "[command-name...]", "7.0.0"),
    command_subcommand("getkeys", command_getkeys, -4,
                       "Returns the keys among the arguments of a command", "command argument...",
                       "2.8.13"),
    command_subcommand(
        "getkeysandflags", command_getkeysandflags, -4,
        "Returns the keys among the arguments of a command, and what it does with them",
        "command argument...", "7.0.0"),
    command_subcommand("help", reply_help, 2, "Prints this help", "", "5.0.0"),
};

constexpr std::array kCommandCommands = {
    CommandSpec{.name = "command",
                .handler = command,
                .arity = -1,
                .flags = kLoading | kStale,
                .group = "server",
                .summary = "Returns arity, flags and keys of every command",
                .complexity = "O(N) in the number of commands",
                .since = "2.8.13",
                .subcommands = kCommandSubcommands},
};

}  // namespace

std::span<const CommandSpec> command_commands() {
  return kCommandCommands;
}

}  // namespace engram
