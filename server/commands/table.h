// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tsl/robin_map.h>

#include "core/text.h"
#include "server/commands/context.h"
#include "server/commands/spec.h"
#include "server/metrics/command_stats.h"

namespace engram {

/// Every command of the server, by name in any case. Immutable, so any thread may read it.
class CommandTable {
 public:
  explicit CommandTable(std::span<const std::span<const CommandSpec>> families);

  /// The top-level command of that name, or null.
  [[nodiscard]] const CommandSpec* find(std::string_view name) const;
  /// As find(), or "container|subcommand".
  [[nodiscard]] const CommandSpec* find_full(std::string_view name) const;

  /// Top-level commands in order of their families.
  [[nodiscard]] std::span<const CommandSpec* const> commands() const noexcept { return commands_; }

  /// Every command and subcommand has a number, by which it is counted. Those of a container's
  /// follow its own, in their order. Beyond all is that of what is no command.
  static constexpr CommandNumber kNoNumber = CommandStats::kMost;
  /// full_name() by number.
  [[nodiscard]] std::span<const std::string> full_names() const noexcept { return full_names_; }
  /// The number of "get" or "config|get", in any case; kNoNumber if there is none.
  [[nodiscard]] CommandNumber number_of(std::string_view full_name) const;

  /// What is to be executed for some arguments.
  struct Resolution {
    const CommandSpec* spec = nullptr;       ///< null: nothing
    const CommandSpec* container = nullptr;  ///< of which `spec` is a subcommand, or null
    CommandNumber number = kNoNumber;        ///< also where the number of arguments is wrong
  };
  /// Checks the number of arguments too.
  [[nodiscard]] Resolution resolve(Arguments argv) const;
  /// Why nothing is to be executed for arguments that resolve to nothing: the error line.
  [[nodiscard]] std::string refusal(Arguments argv) const;

 private:
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const noexcept;
  };
  struct NameEqual {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept {
      return equal_ignoring_case(a, b);
    }
  };

  struct Entry {
    const CommandSpec* spec;
    CommandNumber number;
  };

  std::vector<const CommandSpec*> commands_;
  std::vector<std::string> full_names_;
  tsl::robin_map<std::string_view, Entry, NameHash, NameEqual> by_name_;
};

/// The table of all families.
const CommandTable& command_table();

/// The subcommand of `container` with that name in any case, or null.
const CommandSpec* find_subcommand(const CommandSpec& container, std::string_view name);

/// Whether a command may have so many arguments, its name (or names) included.
inline bool arity_fits(const CommandSpec& spec, std::size_t arguments) noexcept {
  const auto count = static_cast<std::ptrdiff_t>(arguments);
  return spec.arity >= 0 ? count == spec.arity : count >= -spec.arity;
}

/// "get", or "config|get" for a subcommand of `container`, which may be null.
std::string full_name(const CommandSpec* container, const CommandSpec& spec);

/// The handler of every container's HELP.
void reply_help(CommandContext& context);

/// The row of a container's HELP.
constexpr CommandSpec help_command(std::string_view since, std::string_view group = "server") {
  return {.name = "help",
          .handler = reply_help,
          .arity = 2,
          .flags = command_flag::kLoading | command_flag::kStale,
          .group = group,
          .summary = "Prints this help",
          .since = since};
}

}  // namespace engram
