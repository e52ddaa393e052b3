// SPDX-License-Identifier: Apache-2.0
// What a command may know, and change, about the client that sent it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "server/resp/reply_writer.h"

namespace engram {

struct CommandSpec;

/// Counts up from 1 for the life of the process and is never reused.
using ClientId = std::uint64_t;

/// CLIENT REPLY: kOff and the skip states compute a command and drop its reply. kSkipNext turns
/// into kSkip at the next command and from there into kOn.
enum class ReplyMode : std::uint8_t { kOn, kOff, kSkipNext, kSkip };

struct Client {
  ClientId id = 0;
  int fd = -1;
  std::string address;        ///< "ip:port" of the peer
  std::string local_address;  ///< "ip:port" it connected to
  std::string name;
  std::string library_name;
  std::string library_version;
  const CommandSpec* command = nullptr;    ///< the last one executed
  const CommandSpec* container = nullptr;  ///< of which it is a subcommand, or null
  RespVersion resp = RespVersion::kResp2;
  ReplyMode reply_mode = ReplyMode::kOn;
  std::int64_t queued = -1;   ///< commands of its transaction; -1: there is none
  bool watch_broken = false;  ///< a watched key has changed, when it was last looked at
  bool authenticated = true;  ///< needs no password, or has given it
  bool no_evict = false;
  bool no_touch = false;
  bool monitors = false;           ///< sees every command
  bool close_after_reply = false;  ///< nothing further is executed; closes once all is sent
  bool is_heard_out = false;       ///< then what it still sends is taken first, and dropped
  std::int64_t connected_ms = 0;   ///< unix time
  std::int64_t active_ms = 0;      ///< unix time of the last bytes received
  std::size_t input_bytes = 0;     ///< received and not yet executed
  std::size_t input_capacity = 0;
  std::size_t output_bytes = 0;  ///< of replies not yet sent, those in flight as expected
};

}  // namespace engram
