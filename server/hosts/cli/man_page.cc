// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "server/hosts/cli/command_model.h"

namespace engram {
namespace {

constexpr std::string_view kTail = R"(.SH ENVIRONMENT
.TP
.B ENGRAM_DATA_DIR
The data directory, where neither \fB\-\-data\-dir\fR nor a server is given.
.TP
.B ENGRAM_URL
The same for the URL of a server. A password in it is not seen by other users of the machine, as one in an argument is.
.SH FILES
.TP
.I ./engram\-data
The data directory, where nothing else is given.
.SH EXIT STATUS
.TP
.B 0
It is done.
.TP
.B 1
The engine or a file says no, or there is no such key or collection; the standard error says why in one sentence.
.TP
.B 2
The arguments are wrong.
.SH EXAMPLES
.nf
engram insert v1 \-\-vector "1.0,2.0,3.0"
engram search "1.1,2.1,3.1" \-\-k 10
engram import vectors.npy \-\-port 6380
.fi
.SH SEE ALSO
.BR redis\-cli (1)
)";

std::string escaped(std::string_view text) {
  std::string result;
  if (text.starts_with('.') || text.starts_with('\'')) result += "\\&";
  for (const char byte : text) {
    if (byte == '-') {
      result += "\\-";
    } else if (byte == '\\') {
      result += "\\e";
    } else {
      result += byte;
    }
  }
  return result;
}

std::string bold(std::string_view text) {
  return "\\fB" + escaped(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + escaped(text) + "\\fR";
}

/// "-k, --k N", or "KEY..."
std::string heading_of(const OptionModel& option) {
  std::string heading;
  for (const std::string& name : option.names) {
    heading += (heading.empty() ? "" : ", ") + bold(name);
  }
  if (!option.value.empty()) {
    heading += (heading.empty() ? "" : " ") + italic(option.value);
  }
  return heading + (option.repeats ? "..." : "");
}

std::string synopsis_of(const CommandModel& command) {
  std::string line = bold("engram " + command.name);
  for (const OptionModel& option : command.options) {
    if (!option.is_positional()) continue;
    const std::string name = italic(option.value) + (option.repeats ? "..." : "");
    line += option.is_required ? " " + name : " [" + name + "]";
  }
  return line + " [" + italic("option") + "...]";
}

/// The commands that have none themselves, by their whole names, as "client put".
std::vector<CommandModel> leaves_of(const CommandModel& program) {
  std::vector<CommandModel> leaves;
  for (const CommandModel& command : program.commands) {
    if (command.commands.empty()) leaves.push_back(command);
    for (CommandModel leaf : leaves_of(command)) {
      leaf.name = command.name + " " + leaf.name;
      leaves.push_back(std::move(leaf));
    }
  }
  return leaves;
}

}  // namespace

std::string man_page(const CommandModel& program, std::string_view version) {
  std::string page = ".TH ENGRAM 1 \"\" \"engram " + std::string(version) +
                     "\" \"User Commands\"\n.SH NAME\nengram \\- an associative vector memory\n"
                     ".SH SYNOPSIS\n";
  const std::vector<CommandModel> commands = leaves_of(program);
  for (const CommandModel& command : commands) page += synopsis_of(command) + "\n.br\n";
  page += ".SH DESCRIPTION\n" + escaped(program.help) +
          ".\n.PP\nThe subcommands on data open a directory in this process, or speak to a running "
          "server; what they "
          "print is the same.\n.SH COMMANDS\n";
  for (const CommandModel& command : commands) {
    page += ".SS " + synopsis_of(command) + "\n" + escaped(command.help) + ".\n";
    for (const OptionModel& option : command.options) {
      page += ".TP\n" + heading_of(option) + "\n" + escaped(option.help) + ".\n";
    }
  }
  return page + std::string(kTail);
}

}  // namespace engram
