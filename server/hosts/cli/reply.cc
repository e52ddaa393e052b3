// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/reply.h"

#include <string_view>

namespace engram {

Result<Reply> ReplyReader::read() {
  for (;;) {
    const std::string_view unread = std::string_view(bytes_).substr(read_);
    const ReplyScanner::Outcome outcome = scanner_.scan(unread);
    if (outcome == ReplyScanner::Outcome::kError) {
      return fail(ErrorCode::kDataLoss, "what answered does not speak RESP3 as engram does");
    }
    if (outcome == ReplyScanner::Outcome::kReply) break;
    ENGRAM_TRY(refill_(bytes_));
  }
  Reply reply = read_reply(std::string_view(bytes_).substr(read_, scanner_.size()));
  read_ += scanner_.size();
  if (read_ == bytes_.size()) {
    bytes_.clear();
    read_ = 0;
  } else if (read_ > bytes_.size() / 2) {
    bytes_.erase(0, read_);
    read_ = 0;
  }
  return reply;
}

}  // namespace engram
