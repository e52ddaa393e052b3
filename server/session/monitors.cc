// SPDX-License-Identifier: Apache-2.0
#include "server/session/monitors.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "server/commands/secrets.h"
#include "server/commands/spec.h"
#include "server/runtime/process.h"
#include "server/session/session.h"
#include "server/session/sessions.h"

namespace engram {
namespace {

constexpr std::size_t kMostShownBytes = 1UL << 20;

void append_quoted(std::string& line, std::string_view word) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  line += " \"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '\\':
      case '"':
        line += '\\';
        line += c;
        break;
      case '\n':
        line += "\\n";
        break;
      case '\r':
        line += "\\r";
        break;
      case '\t':
        line += "\\t";
        break;
      case '\a':
        line += "\\a";
        break;
      case '\b':
        line += "\\b";
        break;
      default:
        if (c >= ' ' && c <= '~') {
          line += c;
        } else {
          line.append("\\x").append(1, kDigits[byte >> 4U]).append(1, kDigits[byte & 15U]);
        }
    }
  }
  line += '"';
}

}  // namespace

std::string monitor_line(std::int64_t unix_us, std::string_view address, const CommandSpec& spec,
                         Arguments argv) {
  constexpr std::int64_t kUsPerSecond = 1'000'000;
  std::array<char, 48> time{};
  std::snprintf(time.data(), time.size(), "+%lld.%06lld [0 ",
                static_cast<long long>(unix_us / kUsPerSecond),
                static_cast<long long>(unix_us % kUsPerSecond));
  std::string line(time.data());
  line.append(address).append("]");
  const SecretArguments secrets = secrets_of(spec, argv);
  std::size_t shown = 0;
  for (std::size_t i = 0; i < argv.size(); ++i) {
    shown += argv[i].size();
    if (shown > kMostShownBytes) {
      append_quoted(line, "... (" + std::to_string(argv.size() - i) + " more arguments)");
      break;
    }
    append_quoted(line, secrets.contains(i) ? "(redacted)" : argv[i]);
  }
  return line += "\r\n";
}

void Monitors::add(ClientId id) {
  if (std::find(watching_.begin(), watching_.end(), id) == watching_.end()) watching_.push_back(id);
}

void Monitors::show(const CommandSpec& spec, Arguments argv, const Client& client,
                    const std::function<void(ClientId)>& drop) {
  std::erase_if(watching_, [this](ClientId id) {
    Session* const session = sessions_.find(id);
    return session == nullptr || !session->client().monitors;
  });
  if (watching_.empty()) return;
  const std::string line = monitor_line(unix_time_us(), client.address, spec, argv);
  for (const ClientId id : watching_) {
    Session& session = *sessions_.find(id);
    if (session.unread_bytes() + line.size() <= kMostUnread) {
      session.tell(line);
    } else {
      session.client().monitors = false;
      drop(id);
    }
  }
}

}  // namespace engram
