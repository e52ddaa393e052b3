// SPDX-License-Identifier: Apache-2.0
#include "server/hosts/cli/command_client.h"

#include <utility>

#include "server/resp/command.h"

namespace engram {

CommandClient::CommandClient(std::unique_ptr<Place> place)
    : place_(std::move(place)),
      reader_([this](std::string& replies) { return place_->receive(replies); }) {}

Status CommandClient::hello(const std::string& user, const std::string& password) {
  const std::string_view name = user.empty() ? std::string_view("default") : user;
  const auto reply =
      password.empty() ? call({"HELLO", "3"}) : call({"HELLO", "3", "AUTH", name, password});
  if (!reply) return tl::unexpected(reply.error());
  if (const Reply* server = reply->find("server"); server == nullptr || server->text != "engram") {
    return fail(ErrorCode::kInvalidArgument, "the server is not engram");
  }
  return {};
}

void CommandClient::post(std::span<const std::string_view> words) {
  append_command(posted_, words);
  ++owed_;
}

Status CommandClient::flush() {
  if (posted_.empty()) return {};
  Status sent = place_->send(posted_);
  posted_.clear();
  return sent;
}

Result<Reply> CommandClient::take() {
  ENGRAM_TRY(flush());
  auto reply = reader_.read();
  if (reply) --owed_;
  return reply;
}

Result<Reply> CommandClient::call(std::span<const std::string_view> words) {
  while (owed_ != 0) {
    if (auto dropped = take(); !dropped) return dropped;
  }
  post(words);
  auto reply = take();
  if (reply && reply->kind == Reply::Kind::kError) return tl::unexpected(error_of(*reply));
  return reply;
}

Error error_of(const Reply& reply) {
  std::string text = reply.error_text();
  const bool is_missing = text.starts_with("no such index");
  return {is_missing ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument, std::move(text)};
}

}  // namespace engram
