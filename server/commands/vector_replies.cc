// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_replies.h"

#include <algorithm>
#include <cstdint>

#include "core/text.h"

namespace engram {
namespace {

constexpr std::size_t kMaxAnswers = std::size_t{1} << 22;

void write_value(ReplyWriter& writer, const std::string& text) {
  if (const auto integer = parse_number<std::int64_t>(text)) return writer.integer(*integer);
  if (const auto real = parse_number<double>(text)) return writer.number(*real);
  writer.bulk(text);
}

}  // namespace

Status check_answers(std::size_t answers) {
  if (answers <= kMaxAnswers) return {};
  return fail(ErrorCode::kInvalidArgument, "the command asks for " + std::to_string(answers) +
                                               " answers, at most " + std::to_string(kMaxAnswers) +
                                               " are given at once");
}

std::size_t answer_bytes(const Collection& collection) {
  constexpr std::size_t kNumberAndFraming = 32;
  return collection.mean_key_bytes() + kNumberAndFraming;
}

void InfoMap::add(std::string name, std::string value) {
  const bool is_known = std::any_of(facts_.begin(), facts_.end(),
                                    [&name](const Fact& fact) { return fact.name == name; });
  if (!is_known) facts_.push_back({std::move(name), std::move(value)});
}

void InfoMap::write(ReplyWriter& writer) const {
  writer.map(facts_.size());
  for (const Fact& fact : facts_) {
    writer.simple(fact.name);
    write_value(writer, fact.value);
  }
}

}  // namespace engram
