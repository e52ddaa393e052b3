// SPDX-License-Identifier: Apache-2.0
#include "server/commands/table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/assert.h"
#include "server/commands/errors.h"
#include "server/commands/families.h"
#include "server/commands/vector_commands.h"

namespace engram {
namespace {

std::string unknown_command(Arguments argv) {
  constexpr std::size_t kMostEchoedBytes = 128;  // of all arguments together, as in Redis
  const std::string text =
      "ERR unknown command '" + shown_c(argv[0]) + "', with args beginning with: ";
  std::string echoed;
  for (std::size_t i = 1; i < argv.size() && echoed.size() < kMostEchoedBytes; ++i) {
    const std::size_t room = kMostEchoedBytes - echoed.size();
    echoed.append("'").append(c_string(argv[i]).substr(0, room)).append("' ");
  }
  return text + echoed;
}

}  // namespace

std::size_t CommandTable::NameHash::operator()(std::string_view name) const noexcept {
  // FNV-1a; names are a few bytes long.
  std::size_t hash = 14695981039346656037U;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(ascii_lower(c))) * 1099511628211U;
  }
  return hash;
}

CommandTable::CommandTable(std::span<const std::span<const CommandSpec>> families) {
  for (const std::span<const CommandSpec> family : families) {
    for (const CommandSpec& spec : family) {
      const auto number = static_cast<CommandNumber>(full_names_.size());
      const bool inserted = by_name_.emplace(spec.name, Entry{&spec, number}).second;
      ENGRAM_ASSERT(inserted);
      commands_.push_back(&spec);
      full_names_.push_back(full_name(nullptr, spec));
      for (const CommandSpec& sub : spec.subcommands) full_names_.push_back(full_name(&spec, sub));
    }
  }
  ENGRAM_ASSERT(full_names_.size() <= kNoNumber);
}

const CommandSpec* CommandTable::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second.spec;
}

const CommandSpec* CommandTable::find_full(std::string_view name) const {
  const std::size_t bar = name.find('|');
  const CommandSpec* const command = find(name.substr(0, bar));
  if (bar == std::string_view::npos || command == nullptr) return command;
  return find_subcommand(*command, name.substr(bar + 1));
}

CommandNumber CommandTable::number_of(std::string_view full_name) const {
  const auto found = std::find_if(
      full_names_.begin(), full_names_.end(),
      [full_name](const std::string& name) { return equal_ignoring_case(name, full_name); });
  return found == full_names_.end() ? kNoNumber
                                    : static_cast<CommandNumber>(found - full_names_.begin());
}

CommandTable::Resolution CommandTable::resolve(Arguments argv) const {
  const auto found = by_name_.find(argv[0]);
  if (found == by_name_.end()) return {};
  auto [spec, number] = found->second;
  const CommandSpec* container = nullptr;
  if (!spec->subcommands.empty() && argv.size() > 1) {
    container = std::exchange(spec, find_subcommand(*spec, argv[1]));
    if (spec == nullptr) return {};
    number = static_cast<CommandNumber>(number + 1 + (spec - container->subcommands.data()));
  }
  if (!arity_fits(*spec, argv.size()) || spec->handler == nullptr) return {.number = number};
  return {.spec = spec, .container = container, .number = number};
}

std::string CommandTable::refusal(Arguments argv) const {
  const CommandSpec* const command = find(argv[0]);
  if (command == nullptr) return unknown_command(argv);
  const bool has_subcommand = !command->subcommands.empty() && argv.size() > 1;
  const CommandSpec* const spec = has_subcommand ? find_subcommand(*command, argv[1]) : command;
  if (spec == nullptr) {
    return "ERR unknown subcommand '" + shown_c(argv[1]) + "'. Try " + to_upper(command->name) +
           " HELP.";
  }
  const std::string name = full_name(has_subcommand ? command : nullptr, *spec);
  const bool shouts = (spec->flags & command_flag::kShoutsName) != 0;
  return "ERR wrong number of arguments for '" + (shouts ? to_upper(name) : name) + "' command";
}

const CommandTable& command_table() {
  static const std::array kFamilies = {
      connection_commands(),  string_commands(),     key_commands(),         expiry_commands(),
      admin_commands(),       info_commands(),       config_commands(),      client_commands(),
      command_commands(),     vector_commands(),     persistence_commands(), transaction_commands(),
      string_edit_commands(), key_change_commands(), object_commands(),      latency_commands(),
      watching_commands(),
  };
  static const CommandTable kTable(kFamilies);
  return kTable;
}

const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name) {
  const auto found =
      std::find_if(container.subcommands.begin(), container.subcommands.end(),
                   [name](const CommandSpec& sub) { return equal_ignoring_case(sub.name, name); });
  return found == container.subcommands.end() ? nullptr : &*found;
}

std::string full_name(const CommandSpec* container, const CommandSpec& spec) {
  if (container == nullptr) return std::string(spec.name);
  return std::string(container->name) + "|" + std::string(spec.name);
}

void reply_help(CommandContext& context) {
  const CommandSpec& container = *context.services.commands.find(context.argv[0]);
  context.reply.array(1 + 2 * container.subcommands.size());
  context.reply.simple(to_upper(container.name) +
                       " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const CommandSpec& subcommand : container.subcommands) {
    std::string usage = to_upper(subcommand.name);
    if (!subcommand.syntax.empty()) usage.append(" ").append(subcommand.syntax);
    context.reply.simple(usage);
    context.reply.simple("    " + std::string(subcommand.summary) + ".");
  }
}

}  // namespace engram
