// SPDX-License-Identifier: Apache-2.0
#include "server/commands/syntax.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "core/assert.h"
#include "core/text.h"

namespace engram {
namespace {

constexpr std::string_view kPunctuation = "[]<>|";

/// Splits at spaces and around punctuation; "..." is a token of its own.
std::vector<std::string_view> tokenize(std::string_view text) {
  std::vector<std::string_view> tokens;
  while (!text.empty()) {
    std::size_t length = 1;
    if (text.starts_with("...")) {
      length = 3;
    } else if (kPunctuation.find(text[0]) == std::string_view::npos && text[0] != ' ') {
      length = std::min(text.find_first_of("[]<>| "), text.size());
      length = std::min(length, text.find("..."));
    }
    if (text[0] != ' ') tokens.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return tokens;
}

bool is_literal(std::string_view word) {
  return std::none_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string_view type_of(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 17> kTypes = {
      {{"key", "key"},
       {"index", "key"},
       {"set", "key"},
       {"pattern", "pattern"},
       {"unix-time-seconds", "unix-time"},
       {"unix-time-milliseconds", "unix-time"},
       {"seconds", "integer"},
       {"milliseconds", "integer"},
       {"count", "integer"},
       {"cursor", "integer"},
       {"increment", "integer"},
       {"decrement", "integer"},
       {"protover", "integer"},
       {"client-id", "integer"},
       {"dim", "integer"},
       {"k", "integer"},
       {"n", "integer"}}};
  for (const auto& [known, type] : kTypes) {
    if (known == name) return type;
  }
  return "string";
}

/// Recursive descent; the depth is that of our own declarations.
class Parser {
 public:
  explicit Parser(std::string_view syntax) : tokens_(tokenize(syntax)) {}

  std::vector<SyntaxNode> parse() {
    auto nodes = sequence();
    ENGRAM_ASSERT(at_ == tokens_.size());
    return nodes;
  }

 private:
  [[nodiscard]] std::string_view peek() const {
    return at_ < tokens_.size() ? tokens_[at_] : std::string_view();
  }
  [[nodiscard]] bool at_sequence_end() const {
    return peek().empty() || peek() == "]" || peek() == ">" || peek() == "|";
  }

  std::vector<SyntaxNode> sequence() {
    std::vector<SyntaxNode> nodes;
    while (!at_sequence_end()) {
      if (peek() == "...") {
        ENGRAM_ASSERT(!nodes.empty());
        nodes.back().multiple = true;
        ++at_;
      } else {
        nodes.push_back(item());
      }
    }
    return nodes;
  }

  SyntaxNode item() {
    const std::string_view word = tokens_[at_++];
    if (word == "[" || word == "<") return group(word == "[");
    if (!is_literal(word)) return {.name = std::string(word), .type = type_of(word), .token = {}};
    SyntaxNode node{.name = to_lower(word), .type = "pure-token", .token = std::string(word)};
    // A literal takes the value that follows it; only the last of several literals does.
    if (!at_sequence_end() && peek() != "[" && peek() != "<" && !is_literal(peek())) {
      std::vector<SyntaxNode> values;
      while (!at_sequence_end() && peek() != "[" && peek() != "<" && peek() != "..." &&
             !is_literal(peek())) {
        values.push_back(item());
      }
      if (values.size() == 1) {
        node.name = values[0].name;
        node.type = values[0].type;
      } else {
        node.type = "block";
        node.children = std::move(values);
      }
    }
    return node;
  }

  SyntaxNode group(bool optional) {
    std::vector<SyntaxNode> alternatives;
    do {
      std::vector<SyntaxNode> nodes = sequence();
      // Dots at the end of a group repeat all of it: [key vector ...]; those in brackets at its end
      // do not: <query | VALUES n value [value ...]>.
      const bool repeats = nodes.size() > 1 && nodes.back().multiple && !nodes.back().optional;
      if (repeats) nodes.back().multiple = false;
      alternatives.push_back(block(std::move(nodes)));
      alternatives.back().multiple = alternatives.back().multiple || repeats;
    } while (peek() == "|" && ++at_ != tokens_.size());
    ENGRAM_ASSERT(peek() == (optional ? "]" : ">"));
    ++at_;
    SyntaxNode node = std::move(alternatives.front());
    if (alternatives.size() > 1) {
      alternatives.front() = std::move(node);
      node = {.name = "choice", .type = "oneof", .token = {}};
      node.children = std::move(alternatives);
    }
    node.optional = node.optional || optional;
    return node;
  }

  static SyntaxNode block(std::vector<SyntaxNode> nodes) {
    if (nodes.size() == 1) return std::move(nodes.front());
    ENGRAM_ASSERT(!nodes.empty());
    SyntaxNode node{.name = nodes.front().name, .type = "block", .token = {}};
    node.children = std::move(nodes);
    return node;
  }

  std::vector<std::string_view> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<SyntaxNode> parse_syntax(std::string_view syntax) {
  return Parser(syntax).parse();
}

}  // namespace engram
