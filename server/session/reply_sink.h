// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"

namespace engram {

/// Takes replies in the order of their commands. Threads: the event loop's only.
class ReplySink {
 public:
  virtual ~ReplySink() = default;

  /// One reply or several, whole.
  virtual void reply(std::string_view bytes) = 0;
  /// As reply(); keeps a large string instead of copying it, if it can.
  virtual void reply_owned(std::string&& bytes) { reply(bytes); }
};

/// Takes the replies of a session: a connection sends them, a caller in this process waits for one.
class ClientSink : public ReplySink {
 public:
  /// Where a reply may be written that nothing is due before: as good as reply(), and spares a
  /// copy. Null: nowhere.
  virtual std::string* buffer() { return nullptr; }

  /// So much of what was given waits to be sent that parts of large replies had better wait.
  [[nodiscard]] virtual bool is_full() const { return false; }

  /// Bytes that were given and wait to be sent.
  [[nodiscard]] virtual std::size_t unsent_bytes() const { return 0; }

  /// The reply to a command whose change the journal cannot keep, in the form in which this sink
  /// wants its replies.
  virtual std::string refusal(const Error& error) = 0;

  /// Something came to an end while the session executed nothing: replies were given, or a command
  /// that had to wait may start now.
  virtual void progressed() = 0;
};

}  // namespace engram
