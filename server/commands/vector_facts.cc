// SPDX-License-Identifier: Apache-2.0
#include "server/commands/vector_facts.h"

#include <cstdint>
#include <string>

#include "core/text.h"

namespace engram {
namespace {

void write_value(ReplyWriter& writer, const std::string& text) {
  if (const auto integer = parse_number<std::int64_t>(text)) return writer.integer(*integer);
  if (const auto real = parse_number<double>(text)) return writer.number(*real);
  writer.bulk(text);
}

}  // namespace

void write_facts(ReplyWriter& writer, const std::vector<Fact>& facts) {
  writer.map(facts.size());
  for (const Fact& fact : facts) {
    writer.simple(fact.name);
    if (fact.name == "quant-type") {  // as Redis has it
      writer.simple(fact.value);
    } else {
      write_value(writer, fact.value);
    }
  }
}

}  // namespace engram
