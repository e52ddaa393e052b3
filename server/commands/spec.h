// SPDX-License-Identifier: Apache-2.0
// One declaration per command. Dispatch, arity errors, the ordering rule, COMMAND and its
// subcommands and HELP all read it; nothing about a command is said twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace engram {

class CommandContext;
class Store;

using Handler = void (*)(CommandContext&);

/// Bits of CommandSpec::flags. kWrite and kReadonly also decide the kind under the ordering rule:
/// a command with neither is neutral and waits for nothing. A name that COMMAND does not tell is
/// ours.
namespace command_flag {
inline constexpr std::uint32_t kWrite = 1U << 0;
inline constexpr std::uint32_t kReadonly = 1U << 1;
inline constexpr std::uint32_t kDenyOom = 1U << 2;
inline constexpr std::uint32_t kAdmin = 1U << 3;
inline constexpr std::uint32_t kNoScript = 1U << 4;
inline constexpr std::uint32_t kLoading = 1U << 5;
inline constexpr std::uint32_t kStale = 1U << 6;
inline constexpr std::uint32_t kFast = 1U << 7;
inline constexpr std::uint32_t kNoAuth = 1U << 8;
inline constexpr std::uint32_t kAllowBusy = 1U << 9;
inline constexpr std::uint32_t kNoMulti = 1U << 10;  ///< refused between MULTI and EXEC
inline constexpr std::uint32_t kSkipSlowlog = 1U << 11;
inline constexpr std::uint32_t kInMulti = 1U << 12;      ///< executed, not queued, after MULTI
inline constexpr std::uint32_t kTransaction = 1U << 13;  ///< carries out other commands
inline constexpr std::uint32_t kOrderedAsRead = 1U << 14;
inline constexpr std::uint32_t kWritesLater = 1U << 15;   ///< reads for long first
inline constexpr std::uint32_t kMayReplicate = 1U << 16;  ///< reads, and its other_form writes
inline constexpr std::uint32_t kUpdates = 1U << 17;  ///< with kWrite: writes by what it has read
inline constexpr std::uint32_t kConditional = 1U << 18;   ///< with kWrite: may find a reason not to
inline constexpr std::uint32_t kShoutsName = 1U << 19;    ///< errors of arity spell it in capitals
inline constexpr std::uint32_t kTellsSecrets = 1U << 20;  ///< see secrets.h
inline constexpr std::uint32_t kBrief = 1U << 21;  ///< takes less time than timing it is worth
}  // namespace command_flag

/// A transaction waits for everything and everything waits for it. So does an update, which reads
/// and then writes; and a conditional write, whose neighbours of that kind decide in their order.
enum class CommandKind : std::uint8_t {
  kNeutral,
  kRead,
  kWrite,
  kTransaction,
  kUpdate,
  kConditional
};
inline constexpr std::size_t kCommandKinds = 6;

/// Whether a command of that kind may change something by itself.
constexpr bool changes_something(CommandKind kind) noexcept {
  return kind == CommandKind::kWrite || kind == CommandKind::kUpdate ||
         kind == CommandKind::kConditional;
}

/// Which arguments are keys, counted from the command's name at 0; `last` counts from the end when
/// negative (-1: the last argument). All zero: none.
struct KeyRange {
  int first = 0;
  int last = 0;
  int step = 0;
};
inline constexpr KeyRange kOneKey = {1, 1, 1};  ///< the first argument

/// A command or a subcommand. All text is static.
struct CommandSpec {
  std::string_view name;      ///< lower case; of a subcommand only its own word
  Handler handler = nullptr;  ///< null for a container that answers nothing by itself
  int arity = 0;              ///< arguments with the name(s); negative: at least that many
  std::uint32_t flags = 0;
  KeyRange keys = {};
  /// What is done with the keys, in the words of Redis's key specifications. Empty: "RO access" of
  /// a command that reads, "RW update" of one that writes.
  std::string_view key_flags = {};
  std::string_view group = "generic";  ///< one of Redis's groups, or "vector"
  std::string_view summary = {};       ///< one sentence without a full stop
  /// The arguments after the name, in the notation of syntax.h:
  /// "key value [NX | XX] [GET] [EX seconds | PX milliseconds]", "key [key ...]".
  std::string_view syntax = {};
  std::string_view complexity = "O(1)";
  std::string_view since = "1.0.0";
  std::span<const CommandSpec> subcommands = {};
  /// What the command is where takes_other_form(arguments with the name, store): one that reads may
  /// write then, or the other way round. Null: it is always the same.
  const CommandSpec* other_form = nullptr;
  bool (*takes_other_form)(std::span<const std::string_view> argv, Store& store) = nullptr;

  [[nodiscard]] const CommandSpec& in_effect(std::span<const std::string_view> argv,
                                             Store& store) const {
    return other_form != nullptr && takes_other_form(argv, store) ? *other_form : *this;
  }

  [[nodiscard]] constexpr CommandKind kind() const noexcept {
    if ((flags & command_flag::kTransaction) != 0) return CommandKind::kTransaction;
    if ((flags & command_flag::kWrite) != 0) {
      if ((flags & command_flag::kUpdates) != 0) return CommandKind::kUpdate;
      if ((flags & command_flag::kConditional) != 0) return CommandKind::kConditional;
      return CommandKind::kWrite;
    }
    constexpr std::uint32_t kReads = command_flag::kReadonly | command_flag::kOrderedAsRead;
    if ((flags & kReads) != 0) return CommandKind::kRead;
    return CommandKind::kNeutral;
  }
};

}  // namespace engram
