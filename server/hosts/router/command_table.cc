// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "core/text.h"
#include "server/hosts/router/commands.h"
#include "server/resp/integer.h"

namespace engram::router {
namespace {

constexpr std::array kCommands = {
    CommandSpec{"ping", -1, CommandKind::kLocal, ping},
    CommandSpec{"echo", 2, CommandKind::kLocal, echo},
    CommandSpec{"hello", -1, CommandKind::kLocal, hello},
    CommandSpec{"auth", -2, CommandKind::kLocal, auth},
    CommandSpec{"select", 2, CommandKind::kLocal, select_database},
    CommandSpec{"quit", -1, CommandKind::kLocal, quit},
    CommandSpec{"reset", 1, CommandKind::kLocal, reset},
    CommandSpec{"client", -2, CommandKind::kLocal, client_command},
    CommandSpec{"command", -1, CommandKind::kLocal, command_command},
    CommandSpec{"config", -2, CommandKind::kLocal, config_command},
    CommandSpec{"info", -1, CommandKind::kLocal, info},
    CommandSpec{"vnew", -3, CommandKind::kWrite, vnew},
    CommandSpec{"vdrop", 2, CommandKind::kWrite, vdrop},
    CommandSpec{"vpartitions", -3, CommandKind::kWrite, vpartitions},
    CommandSpec{"vinfo", -2, CommandKind::kRead, vinfo},
    CommandSpec{"vcard", -2, CommandKind::kRead, vcard},
    CommandSpec{"vdim", 2, CommandKind::kRead, vdim},
    CommandSpec{"vprimitives", 1, CommandKind::kRead, vprimitives},
    CommandSpec{"vadd", -4, CommandKind::kKeyWrite, vadd},
    CommandSpec{"vmadd", -4, CommandKind::kWrite, vmadd},
    CommandSpec{"vdel", 3, CommandKind::kKeyWrite, one_key},
    CommandSpec{"vsetattr", 4, CommandKind::kKeyWrite, one_key},
    CommandSpec{"vget", -3, CommandKind::kRead, one_key},
    CommandSpec{"vgetattr", 3, CommandKind::kRead, one_key},
    CommandSpec{"vismember", 3, CommandKind::kRead, one_key},
    CommandSpec{"vemb", -3, CommandKind::kRead, one_key},
    CommandSpec{"vstrength", -3, CommandKind::kRead, one_key},
    CommandSpec{"vsearch", -4, CommandKind::kRead, vsearch},
    CommandSpec{"vmsearch", -4, CommandKind::kRead, vmsearch},
    CommandSpec{"vrecall", -4, CommandKind::kWrite, vrecall},
    CommandSpec{"venergy", -3, CommandKind::kRead, venergy},
    CommandSpec{"vdiag", -2, CommandKind::kRead, whole_index},
    CommandSpec{"vtune", -2, CommandKind::kWrite, whole_index},
    CommandSpec{"vsim", -4, CommandKind::kRead, whole_index},
    CommandSpec{"vrange", -4, CommandKind::kRead, whole_index},
    CommandSpec{"vrandmember", -2, CommandKind::kRead, whole_index},
    CommandSpec{"vlinks", -3, CommandKind::kRead, whole_index},
    CommandSpec{"vtouch", -3, CommandKind::kWrite, whole_index},
    CommandSpec{"vforget", -4, CommandKind::kWrite, whole_index},
    CommandSpec{"vconsolidate", -3, CommandKind::kWrite, whole_index},
};

}  // namespace

const CommandSpec* find_command(std::string_view name) {
  const auto found = std::find_if(kCommands.begin(), kCommands.end(),
                                  [name](const CommandSpec& spec) { return spec.name == name; });
  return found == kCommands.end() ? nullptr : &*found;
}

std::size_t command_count() {
  return kCommands.size();
}

std::string command_name(std::string_view word) {
  constexpr std::string_view kPrefix = "engram.";
  std::string name = to_lower(word);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  return name;
}

std::size_t end_of_vector(const std::vector<std::string>& argv, std::size_t at) {
  if (at >= argv.size()) return 0;
  if (!equal_ignoring_case(argv[at], "VALUES")) return at + 1;
  const auto count = at + 1 < argv.size() ? parse_number<std::size_t>(argv[at + 1]) : std::nullopt;
  if (!count || *count > argv.size() - at - 2) return 0;
  return at + 2 + *count;
}

Error needs_whole_index(std::string_view what) {
  return {ErrorCode::kUnsupported, std::string(what) +
                                       " looks at an index as a whole, and this one has "
                                       "partitions: one made with PARTITIONS 1 takes it"};
}

Status take_replica_wait(Call& call) {
  constexpr std::int64_t kMostReplicas = 1000;
  constexpr std::int64_t kLongestMs = 60'000;
  std::vector<std::string>& argv = call.argv;
  const auto value_of = [&argv](std::string_view word, std::size_t from_end) {
    const bool is_there =
        argv.size() >= from_end + 2 && equal_ignoring_case(argv[argv.size() - from_end], word);
    return is_there ? &argv[argv.size() - from_end + 1] : nullptr;
  };
  const std::string* timeout = value_of("TIMEOUT", 2);
  const std::string* const replicas = value_of("REPLICAS", timeout != nullptr ? 4 : 2);
  if (replicas == nullptr) return {};
  ReplicaWait wait;
  const auto count = parse_integer(*replicas);
  const auto timeout_ms = timeout != nullptr ? parse_integer(*timeout) : wait.timeout_ms;
  if (!count || *count < 0 || *count > kMostReplicas) {
    return fail(ErrorCode::kInvalidArgument,
                "REPLICAS must be an integer in 0..1000, got '" + *replicas + "'");
  }
  if (!timeout_ms || *timeout_ms < 1 || *timeout_ms > kLongestMs) {
    return fail(ErrorCode::kInvalidArgument,
                "TIMEOUT must be milliseconds in 1..60000, got '" + *timeout + "'");
  }
  wait.replicas = *count;
  wait.timeout_ms = static_cast<int>(*timeout_ms);
  argv.resize(argv.size() - (timeout != nullptr ? 4 : 2));
  if (wait.replicas > 0) call.wait = wait;
  return {};
}

}  // namespace engram::router
