// SPDX-License-Identifier: Apache-2.0
// A subcommand that acts on data, as its arguments ask for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "server/hosts/cli/place.h"

namespace engram {

struct CliRequest {
  std::string command = {};
  PlaceOptions place = {};
  std::string collection = "default";
  bool json = false;
  bool quiet = false;

  std::vector<std::string> keys = {};          ///< of insert and get, one; of delete
  std::string vector = {};                     ///< "1.0,2.0,3.0": what is stored, asked, or a cue
  std::optional<std::string> attributes = {};  ///< JSON; empty: they are taken away
  std::string index = {};                 ///< primitive of a collection that is made; empty: hnsw
  std::string metric = {};                ///< likewise; empty: cosine
  std::vector<std::string> options = {};  ///< NAME=VALUE, of VNEW, VSEARCH or VRECALL

  std::uint64_t k = 10;
  std::string ef = {};
  std::string share = {};  ///< RECALL of a search
  std::string filter = {};
  std::string key = {};  ///< whose vector is the query, or the cue
  bool shows_attributes = false;
  std::string mask = {};
  std::string top = {};

  std::string file = {};
  std::string format = {};  ///< empty: by the file's name
  std::string prefix = {};
  std::string keys_file = {};
  std::uint64_t limit = 0;  ///< of list and import; 0: none
};

/// Exit codes of the program.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;  ///< the engine, or a file, says no; or there is no such thing
inline constexpr int kMisused = 2;  ///< the arguments are wrong

/// Carries out a subcommand: prints what it tells, and returns the exit code.
int run_cli(const CliRequest& request);

}  // namespace engram
