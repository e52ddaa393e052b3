// SPDX-License-Identifier: Apache-2.0
// A subcommand under way, and what several have in common.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "server/hosts/cli/command_client.h"
#include "server/hosts/cli/request.h"
#include "server/json/json_writer.h"

namespace engram {

using Words = std::vector<std::string_view>;

struct Invocation {
  const CliRequest& request;
  CommandClient& client;
  const std::string vector;     ///< CliRequest::vector, packed
  std::string out = {};         ///< for the standard output
  bool wants_snapshot = false;  ///< much was written

  /// Sends what is in `out` already; call it where there may be much.
  Status print();
};

/// "1,2.5,-3", with spaces, or in brackets, as packed float32. Errors: kInvalidArgument.
Result<std::string> packed_vector(std::string_view text);

/// Appends NAME and VALUE of each of CliRequest::options.
void append_options(const Invocation& invocation, Words& words);

/// What VINFO tells of the collection; nothing if there is none. Errors: those of
/// CommandClient::call(), and so below.
Result<std::optional<Reply>> find_collection(Invocation& invocation);
/// The same. Errors: kNotFound.
Result<Reply> require_collection(Invocation& invocation);
/// The collection is there when it returns, with that dimension, and with the metric and primitive
/// that the flags name. Errors: kInvalidArgument.
Status prepare_collection(Invocation& invocation, std::size_t dim);
/// Makes it; another may have done so meanwhile.
Status make_collection(Invocation& invocation, std::size_t dim);

/// Posts what stores an item; the first reply tells whether the key is new. Returns how many
/// replies there will be. No attributes: the key keeps what it has.
std::size_t post_item(CommandClient& client, std::string_view collection, std::string_view key,
                      std::string_view packed, const std::optional<std::string_view>& attributes);

/// Walks through the keys of the collection, in the order of their bytes.
class KeyPages {
 public:
  explicit KeyPages(Invocation& invocation) : invocation_(invocation) {}

  /// The next keys, at most `count`; none after the last.
  Result<std::vector<std::string>> next(std::size_t count);

 private:
  Invocation& invocation_;
  std::string start_ = "-";
  bool ended_ = false;
};

void write_reply(JsonWriter& json, const Reply& reply);
/// As text in one line.
std::string reply_text(const Reply& reply);
/// A JSON object that the engine keeps, in one line; null for a null.
std::string one_line(const Reply& attributes);

// The subcommands; each returns an exit code. Errors: the exit code is kRefused.
Result<int> insert_item(Invocation& invocation);
Result<int> search_items(Invocation& invocation);
Result<int> delete_items(Invocation& invocation);
Result<int> list_keys(Invocation& invocation);
Result<int> get_item(Invocation& invocation);
Result<int> show_info(Invocation& invocation);
Result<int> recall_item(Invocation& invocation);
Result<int> import_file(Invocation& invocation);
Result<int> export_file(Invocation& invocation);

}  // namespace engram
