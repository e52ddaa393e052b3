// SPDX-License-Identifier: Apache-2.0
// Where the data of a command is: in a directory, which this process opens, or with a server.
// Either takes commands of the RESP table and answers them, so a subcommand is written once and
// tells the same of both.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/result.h"

namespace engram {

/// A stream of RESP. Threads: one.
class Place {
 public:
  virtual ~Place() = default;

  /// Errors: kIo.
  virtual Status send(std::string_view bytes) = 0;
  /// Appends what has come of replies, at least a byte; waits for that. Errors: kIo.
  virtual Status receive(std::string& replies) = 0;
  /// Has all that was answered on disk, if it is this process that keeps it. Errors: kIo, kNoSpace.
  virtual Status end() = 0;

  /// The data is in a directory: this process starts from it, and ends with it.
  [[nodiscard]] virtual bool is_directory() const noexcept = 0;
  /// A snapshot would make the next start much shorter.
  [[nodiscard]] virtual bool wants_snapshot() const noexcept { return false; }
};

/// What the flags and the environment say.
struct PlaceOptions {
  std::string directory = {};
  std::string host = {};
  std::string port = {};
  std::string url = {};      ///< redis://[[user]:password@]host[:port]
  bool asks_server = false;  ///< it is a server, whatever says where
};

inline constexpr std::string_view kUsualDirectory = "./engram-data";

/// A server, and how it knows a client.
struct ServerAddress {
  std::string host = "127.0.0.1";
  int port = 6380;
  std::string user = {};
  std::string password = {};  ///< empty: it needs none
};

/// Which one is meant: exactly one of the two.
struct PlaceChoice {
  std::string directory = {};  ///< empty: the server
  ServerAddress server = {};
};

/// The flags come before the environment (ENGRAM_DATA_DIR, ENGRAM_URL; null: not set), which comes
/// before kUsualDirectory, or the usual server if only one is asked. Errors: kInvalidArgument.
Result<PlaceChoice> choose_place(const PlaceOptions& flags, const char* directory_of_environment,
                                 const char* url_of_environment);

/// Errors: kInvalidArgument.
Result<ServerAddress> parse_url(std::string_view url);

/// Opens the store in the directory, which is made if `makes_it` and its parent is there. Errors:
/// kNotFound; those of Store::open, with advice if another process has it open.
Result<std::unique_ptr<Place>> open_directory_place(const std::string& directory, bool makes_it);

/// Errors: kIo.
Result<std::unique_ptr<Place>> open_server_place(const ServerAddress& address);

}  // namespace engram
