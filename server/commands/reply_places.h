// SPDX-License-Identifier: Apache-2.0
// Where the reply of a command goes that is answered later. The room above implements it: it knows
// which clients are still there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "server/commands/client.h"
#include "server/durability/store_files.h"

namespace engram {

/// Threads: the event loop's only.
class ReplyPlaces {
 public:
  virtual ~ReplyPlaces() = default;

  /// Reserves the place of one reply in the client's order and returns its sequence number.
  /// The command being executed by `id` is then answered by complete(), not by its writer.
  /// Until then the reply counts as `expected_bytes` of unsent output, which hold back a client
  /// that does not read.
  virtual std::uint64_t defer(ClientId id, std::size_t expected_bytes) = 0;

  /// What a reserved place counts as, for who knows it only after defer(). Does nothing if the
  /// client has gone.
  virtual void expect(ClientId id, std::uint64_t sequence, std::size_t bytes) = 0;

  /// A reserved place is not left before the journal may acknowledge `lsn`. If it never may, an
  /// error takes the place of the reply. Until then it counts as `bytes` more of unsent output:
  /// what the journal may have in memory. Does nothing if the client has gone.
  virtual void hold(ClientId id, std::uint64_t sequence, Lsn lsn, std::size_t bytes) = 0;

  /// Adds `bytes` to the reply in a reserved place; what is there leaves as soon as its turn has
  /// come. complete() gives the last part. Does nothing if the client has gone.
  virtual void extend(ClientId id, std::uint64_t sequence, std::string bytes) = 0;

  /// Whether the client takes another part of that reply. If not, `resume` is called later, when it
  /// does. If the client goes before, `resume` is destroyed uncalled.
  virtual bool takes_part(ClientId id, std::uint64_t sequence, std::function<void()> resume) = 0;

  /// Whether the client is still there.
  [[nodiscard]] virtual bool is_there(ClientId id) const = 0;

  /// Fills a reserved place. Does nothing if the client has gone.
  virtual void complete(ClientId id, std::uint64_t sequence, std::string bytes) = 0;
};

}  // namespace engram
