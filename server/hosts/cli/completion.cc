// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "server/hosts/cli/command_model.h"

namespace engram {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : " ") + word;
  return all;
}

std::vector<std::string> names_of(const std::vector<OptionModel>& options) {
  std::vector<std::string> names;
  for (const OptionModel& option : options) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  return names;
}

std::vector<std::string> names_of(const std::vector<CommandModel>& commands) {
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CommandModel& command : commands) names.push_back(command.name);
  return names;
}

/// In single quotes, as all three shells read them; `inner` stands for a quote within.
std::string quoted(std::string_view text, std::string_view inner) {
  std::string result = "'";
  for (const char byte : text) {
    if (byte == '\'') {
      result += inner;
    } else {
      result += byte;
    }
  }
  return result + "'";
}

/// What bash offers for a value.
std::string bash_values(const OptionModel& option) {
  if (const auto choices = option.choices(); !choices.empty()) {
    return "COMPREPLY=($(compgen -W '" + joined(choices) + "' -- \"$cur\"))";
  }
  if (option.takes_directory()) return "COMPREPLY=($(compgen -d -- \"$cur\"))";
  if (option.takes_file()) return "COMPREPLY=($(compgen -f -- \"$cur\"))";
  return "COMPREPLY=()";
}

/// What it offers behind the name of a command without others.
std::string bash_options(const CommandModel& command) {
  std::string script = "      case \"$prev\" in\n";
  std::string positional;
  for (const OptionModel& option : command.options) {
    if (option.is_positional()) {
      positional = bash_values(option);
    } else if (!option.value.empty()) {
      std::string names;
      for (const std::string& name : option.names) names += (names.empty() ? "" : "|") + name;
      script += "        " + names + ") " + bash_values(option) + "; return ;;\n";
    }
  }
  script += "      esac\n      if [[ $cur == -* ]]; then\n        COMPREPLY=($(compgen -W '" +
            joined(names_of(command.options)) + "' -- \"$cur\"))\n";
  if (!positional.empty()) script += "      else\n        " + positional + "\n";
  return script + "      fi\n";
}

/// The same where the word at `place` names one of its commands.
std::string bash_commands(const CommandModel& group, int place) {
  std::vector<std::string> words = names_of(group.commands);
  std::string cases;
  for (const CommandModel& command : group.commands) {
    cases +=
        "    " + command.name + ")\n" +
        (command.commands.empty() ? bash_options(command) : bash_commands(command, place + 1)) +
        "      ;;\n";
  }
  const auto options = names_of(group.options);
  words.insert(words.end(), options.begin(), options.end());
  const std::string number = std::to_string(place);
  return "  if [[ $COMP_CWORD == " + number + " ]]; then\n    COMPREPLY=($(compgen -W '" +
         joined(words) + "' -- \"$cur\"))\n    return\n  fi\n  case \"${COMP_WORDS[" + number +
         "]}\" in\n" + cases + "  esac\n";
}

std::string bash_script(const CommandModel& program) {
  return "# bash completion of engram\n"
         "_engram() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n" +
         bash_commands(program, 1) + "}\ncomplete -F _engram engram\n";
}

/// Colons and brackets have a meaning in the arguments of _arguments.
std::string zsh_escaped(std::string_view text) {
  std::string result;
  for (const char byte : text) {
    if (byte == ':' || byte == '[' || byte == ']' || byte == '\\') result += '\\';
    result += byte;
  }
  return result;
}

std::string zsh_values(const OptionModel& option) {
  if (const auto choices = option.choices(); !choices.empty()) {
    return ":value:(" + joined(choices) + ")";
  }
  const char* const action = option.takes_directory() ? "_files -/"
                             : option.takes_file()    ? "_files"
                                                      : " ";
  return ":" + zsh_escaped(option.value) + ":" + action;
}

std::string zsh_arguments(const CommandModel& command) {
  std::string script;
  for (const OptionModel& option : command.options) {
    if (option.is_positional()) {
      const std::string place = option.repeats ? "*" : "";
      script += " \\\n        " + quoted(place + zsh_values(option), "'\\''");
      continue;
    }
    for (const std::string& name : option.names) {
      std::string described = option.repeats ? "*" : "";
      described.append(name).append("[").append(zsh_escaped(option.help)).append("]");
      if (!option.value.empty()) described += zsh_values(option);
      script.append(" \\\n        ").append(quoted(described, "'\\''"));
    }
  }
  return script;
}

/// The second word names one of the group's commands.
std::string zsh_commands(const CommandModel& group) {
  std::string descriptions;
  std::string cases;
  for (const CommandModel& command : group.commands) {
    descriptions += "    " + quoted(command.name + ":" + zsh_escaped(command.help), "'\\''") + "\n";
    cases += "    " + command.name + ")\n" +
             (command.commands.empty() ? "      _arguments" + zsh_arguments(command) + "\n"
                                       : zsh_commands(command)) +
             "      ;;\n";
  }
  return "  commands=(\n" + descriptions +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  command=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $command in\n" +
         cases + "  esac\n";
}

std::string zsh_script(const CommandModel& program) {
  return "#compdef engram\n"
         "_engram() {\n"
         "  local -a commands\n"
         "  local command\n" +
         zsh_commands(program) +
         "}\nif [[ $funcstack[1] == _engram ]]; then\n  _engram \"$@\"\nelse\n"
         "  compdef _engram engram\nfi\n";
}

/// The command line has the name, but as that of a command of another group.
std::string fish_exceptions(const CommandModel& group, const std::string& name) {
  std::string exceptions;
  for (const CommandModel& other : group.commands) {
    const auto names = names_of(other.commands);
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    exceptions += "; and not __fish_seen_subcommand_from " + other.name;
  }
  return exceptions;
}

/// What it offers where one of the group's commands is to be named, and behind that.
std::string fish_commands(const CommandModel& group, const std::string& to_name,
                          const std::string& behind) {
  std::string script;
  for (const CommandModel& command : group.commands) {
    script += "complete -c engram -n '" + to_name + "' -a " + command.name + " -d " +
              quoted(command.help, "\\'") + "\n";
    const std::string named = behind + "__fish_seen_subcommand_from " + command.name;
    if (!command.commands.empty()) {
      script += fish_commands(
          command,
          named + "; and not __fish_seen_subcommand_from " + joined(names_of(command.commands)),
          named + "; and ");
    }
    const std::string when =
        "complete -c engram -n '" + named + fish_exceptions(group, command.name) + "'";
    for (const OptionModel& option : command.options) {
      std::string line = when;
      for (const std::string& name : option.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (const auto choices = option.choices(); !choices.empty()) {
        line += (option.is_positional() ? " -a '" : " -x -a '") + joined(choices) + "'";
      } else if (option.takes_directory()) {
        line += " -x -a '(__fish_complete_directories)'";
      } else if (option.takes_file()) {
        line += option.is_positional() ? " -F" : " -r -F";
      } else if (!option.value.empty() && !option.is_positional()) {
        line += " -x";
      }
      script += line + " -d " + quoted(option.help, "\\'") + "\n";
    }
  }
  return script;
}

std::string fish_script(const CommandModel& program) {
  return "# fish completion of engram\ncomplete -c engram -f\n" +
         fish_commands(program, "__fish_use_subcommand", "");
}

}  // namespace

std::vector<std::string> OptionModel::choices() const {
  std::vector<std::string> all;
  if (value.find('|') == std::string::npos) return all;
  for (std::size_t begin = 0; begin <= value.size();) {
    const std::size_t end = std::min(value.find('|', begin), value.size());
    all.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

std::string completion_script(const CommandModel& program, std::string_view shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  if (shell == "fish") return fish_script(program);
  return {};
}

}  // namespace engram
