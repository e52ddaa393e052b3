// SPDX-License-Identifier: Apache-2.0
// The declaration of the command line as data, for what is generated from it: completion and the
// manual page.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engram {

struct OptionModel {
  std::vector<std::string> names = {};  ///< "-k", "--k"; empty: it has none, and goes by its place
  std::string value = {};               ///< FILE, DIR, l2|dot|cosine; empty: it takes none
  std::string help = {};
  bool is_required = false;
  bool repeats = false;

  [[nodiscard]] bool is_positional() const noexcept { return names.empty(); }
  [[nodiscard]] bool takes_file() const { return value.find("FILE") != std::string::npos; }
  [[nodiscard]] bool takes_directory() const { return value.find("DIR") != std::string::npos; }
  /// The values that there are; empty: others, too.
  [[nodiscard]] std::vector<std::string> choices() const;
};

struct CommandModel {
  std::string name = {};
  std::string help = {};
  std::vector<OptionModel> options = {};
  std::vector<CommandModel> commands = {};
};

/// The script by which a shell completes: bash, zsh or fish; empty for others.
std::string completion_script(const CommandModel& program, std::string_view shell);

/// engram.1, in the macros of man.
std::string man_page(const CommandModel& program, std::string_view version);

}  // namespace engram
