// SPDX-License-Identifier: Apache-2.0
// The notation of CommandSpec::syntax, and its structure for COMMAND DOCS.
//
//   word            a value to be filled in          WORD word       a value after a literal word
//   WORD            a literal word                   [ ... ]         may be left out
//   < ... >         a group                          a | b           one of these
//   x... or [x ...] any number of times
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// One argument as COMMAND DOCS describes it.
struct SyntaxNode {
  std::string name;
  std::string_view type;   ///< key, string, integer, pattern, unix-time, pure-token, oneof or block
  std::string token = {};  ///< the literal word before it, if any
  bool optional = false;
  bool multiple = false;
  std::vector<SyntaxNode> children = {};
};

/// `syntax` is ours, never a client's: unbalanced brackets are a bug.
std::vector<SyntaxNode> parse_syntax(std::string_view syntax);

}  // namespace engram
