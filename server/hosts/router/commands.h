// SPDX-License-Identifier: Apache-2.0
// The commands of a router.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "server/hosts/router/call.h"

namespace engram::router {

/// What may run beside what, of one client. Local ones end at once. Reads run beside reads; writes
/// of a key beside writes of other keys; any other write alone.
enum class CommandKind : std::uint8_t { kLocal, kRead, kKeyWrite, kWrite };

struct CommandSpec {
  std::string_view name;  ///< in small letters, without the prefix of the module
  int arity;              ///< with the name; negative: at least so many
  CommandKind kind;
  void (*handler)(const CallPtr&);
};

/// Null if there is none.
const CommandSpec* find_command(std::string_view name);
/// How many there are.
std::size_t command_count();
/// Its name, as a client sent it: small letters, without the module's prefix.
std::string command_name(std::string_view word);
/// Where the vector that begins at argv[at] ends; 0 if it does not.
std::size_t end_of_vector(const std::vector<std::string>& argv, std::size_t at);
/// Why an index with partitions refuses `what`.
Error needs_whole_index(std::string_view what);
/// Takes REPLICAS n [TIMEOUT ms] off the end. Errors: kInvalidArgument.
Status take_replica_wait(Call& call);

// Local.
void ping(const CallPtr& call);
void echo(const CallPtr& call);
void hello(const CallPtr& call);
void auth(const CallPtr& call);
void select_database(const CallPtr& call);
void quit(const CallPtr& call);
void reset(const CallPtr& call);
void client_command(const CallPtr& call);
void command_command(const CallPtr& call);
void config_command(const CallPtr& call);
void info(const CallPtr& call);

// Of a whole index.
void vnew(const CallPtr& call);
void vdrop(const CallPtr& call);
void vpartitions(const CallPtr& call);
void vinfo(const CallPtr& call);
void vcard(const CallPtr& call);
void vdim(const CallPtr& call);
void vprimitives(const CallPtr& call);

// Of keys.
void one_key(const CallPtr& call);  ///< argv[2] is a key whose partition answers
void vadd(const CallPtr& call);
void vmadd(const CallPtr& call);
/// Carries out `writes`, each a VADD of the index that call->argv[1] names, of different keys;
/// answers how many of these are new.
void add_each(const CallPtr& call, std::vector<std::vector<std::string>> writes);

// Of all partitions.
void vsearch(const CallPtr& call);
void vmsearch(const CallPtr& call);
void vrecall(const CallPtr& call);
void venergy(const CallPtr& call);
/// What a partition cannot answer for the others: carried out where there is one partition only.
void whole_index(const CallPtr& call);

}  // namespace engram::router
